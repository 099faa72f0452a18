// Runs and leagues: what is here, how it goes, and the commands that start, stop and resume.

import { h, fill, announce, number } from "../dom.js";
import { get, post } from "../api.js";
import { Chart, short } from "./chart.js";
import { Lineage, Matrix } from "./league.js";

const AT = "/api/runs", GOING_ON = ["submitted", "running", "preempted", "retrying"];
const SOON = 2000, LATER = 10000;
const SIGNS = { submitted: "…", running: "▶", preempted: "…", retrying: "…", finished: "✓", stopped: "■", failed: "✗", unreadable: "!" };
const VIEWS = { run: { curves: "Curves", metrics: "Metrics", log: "Log", config: "Config" }, league: { curves: "Curves", lineage: "Lineage", matrix: "Payoffs", log: "Log", config: "Config" } };

const state = (name) => h("span", { class: `state ${name}` }, h("span", { "aria-hidden": "true" }, `${SIGNS[name] ?? "?"} `), name);
const place = (options) => `#/runs${options ? `?${new URLSearchParams(options)}` : ""}`;

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) if (seconds >= size) return `${number(seconds / size, seconds < 10 * size ? 1 : 0)} ${unit}`;
  return `${number(seconds, seconds < 10 ? 1 : 0)} s`;
}

const table = (caption, columns, rows) => h("div", { class: "table-box" }, h("table", { class: "listing" }, h("caption", { class: "sr-only" }, caption),
  h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows)));

class Page {
  constructor(main) {
    this.error = h("p", { class: "banner error", role: "alert", hidden: true });
    this.body = h("div", { class: "stack" });
    this.root = h("div", { class: "runs" }, this.error, this.body);
    fill(main, this.root);
    this.asked = 0;
    this.follow = () => { if (!this.root.isConnected) { removeEventListener("hashchange", this.follow); document.removeEventListener("visibilitychange", this.wake); } else if (location.hash.startsWith("#/runs")) this.route(); };
    this.wake = () => { if (!document.hidden) this.look(); };
    addEventListener("hashchange", this.follow);
    document.addEventListener("visibilitychange", this.wake);
    this.route();
  }

  // The address says what is shown.
  route() {
    const query = new URLSearchParams(location.hash.split("?")[1] ?? "");
    const kind = query.get("league") ? "league" : query.get("run") ? "run" : "";
    const name = query.get(kind) ?? "", view = VIEWS[kind]?.[query.get("view")] ? query.get("view") : "curves";
    const same = this.kind === kind && this.name === name;
    Object.assign(this, { kind, name, view, seen: "", logSeen: "" });
    this.fail(null);
    if (!same || !this.frame) { this.frame = kind ? this.makeDetail() : this.makeOverview(); fill(this.body, this.frame); }
    if (kind) this.choose();
    this.look();
  }

  fail(error) { this.error.hidden = !error; this.error.textContent = error ? error.message : ""; }

  // Looks at what is shown now, and again after a while; only the newest answer counts.
  async look() {
    clearTimeout(this.timer);
    if (!this.root.isConnected || document.hidden) return;
    const asked = (this.asked += 1);
    let pause = LATER;
    try {
      const goesOn = this.kind ? await this.lookAtOne(asked) : await this.lookAtAll(asked);
      if (asked !== this.asked) return;
      if (goesOn) pause = SOON;
      if (this.lost) { this.lost = false; this.fail(null); }
    } catch (error) {
      if (asked !== this.asked) return;
      this.lost = true;
      this.fail(error);
    }
    this.timer = setTimeout(() => this.look(), pause);
  }

  // All of them

  makeOverview() {
    this.experiment = h("select", { "aria-label": "Experiment", onchange: () => this.describe() });
    this.says = h("p", { class: "muted" });
    this.settings = h("input", { "aria-label": "Settings", placeholder: "iterations=20 seed=2", spellcheck: false, autocomplete: "off" });
    this.said = h("div", { role: "status" });
    this.start = h("button", { type: "submit", class: "primary big" }, "Start");
    this.form = h("form", { class: "panel setup", "aria-label": "Start", hidden: true, onsubmit: (event) => { event.preventDefault(); this.begin(); } }, h("h2", {}, "Start"),
      h("label", { class: "field" }, h("span", {}, "Experiment"), this.experiment), this.says,
      h("label", { class: "field" }, h("span", {}, "Settings, as on the command line"), this.settings), this.start, this.said);
    this.lists = h("div", { class: "stage" }, h("p", { class: "muted" }, "Looking …"));
    return h("div", { class: "explore" }, h("aside", { class: "stack" }, this.form), this.lists);
  }

  async lookAtAll(asked) {
    const found = await get(`${AT}/overview`);
    if (asked !== this.asked) return false;
    this.form.hidden = !found.may_command;
    if (!this.experiment.options.length) {
      this.experiments = found.experiments;
      fill(this.experiment, [["Runs", false], ["Leagues", true]].map(([label, league]) => h("optgroup", { label }, found.experiments.filter((each) => each.league === league).map(({ name }) => h("option", { value: name }, name)))));
      if (found.experiments.some(({ name }) => name === "kuhn")) this.experiment.value = "kuhn";
      this.describe();
    }
    const text = JSON.stringify([found.runs.map(({ age, ...other }) => other), found.leagues, found.shipped]);
    if (text !== this.listed) { this.listed = text; this.list(found); }
    return [...found.runs, ...found.leagues].some((each) => GOING_ON.includes(each.state));
  }

  list({ runs, leagues, shipped }) {
    const focused = document.activeElement?.getAttribute?.("href");
    const wrong = (of, columns) => (of.error ? h("td", { colSpan: columns, class: "error wrong" }, of.error) : null);
    const row = (of) => h("tr", {}, h("th", { scope: "row" }, h("a", { href: place({ run: of.name }) }, of.name)), h("td", { class: "left" }, state(of.state)),
      wrong(of, 5) ?? [h("td", {}, `${number(of.iterations, 0)} / ${of.total === null ? "?" : number(of.total, 0)}`, h("progress", { max: of.total || 1, value: of.iterations, "aria-hidden": "true" })), h("td", {}, short(of.exploitability)), h("td", {}, short(of.best)), h("td", { class: "left" }, of.experiment ?? "–"), h("td", {}, of.age === null || of.age === undefined ? "–" : `${duration(of.age)} ago`)]);
    const columns = ["run", "state", "iterations", "exploitability", "best", "experiment", "submitted"];
    fill(this.lists,
      h("section", { class: "panel", "aria-label": "Runs" }, h("h2", {}, "Runs of this machine"), runs.length ? table("Runs", columns, runs.map(row)) : h("p", { class: "muted" }, "None yet. Start one here, or by pokerlab train experiment=leduc.")),
      h("section", { class: "panel", "aria-label": "Leagues" }, h("h2", {}, "Leagues"), leagues.length ? table("Leagues", ["league", "state", "rounds", "members", "exploitability", "best", "game"], leagues.map((of) =>
        h("tr", {}, h("th", { scope: "row" }, h("a", { href: place({ league: of.name }) }, of.name)), h("td", { class: "left" }, state(of.state)),
          wrong(of, 5) ?? [of.rounds, of.members, short(of.exploitability), short(of.best_exploitability), of.game].map((value) => h("td", {}, String(value)))))) : h("p", { class: "muted" }, "None yet.")),
      h("section", { class: "panel", "aria-label": "Agents of the package" }, h("h2", {}, "Agents of the package"), table("Agents of the package", columns.slice(0, 5), shipped.map((of) => h("tr", {}, [...row(of).children].slice(0, 5))))));
    if (focused) [...this.lists.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
  }

  describe() {
    const found = this.experiments.find(({ name }) => name === this.experiment.value);
    this.says.textContent = found?.says ?? "";
    this.settings.placeholder = found?.league ? "rounds=20 seed=2" : "iterations=20 seed=2";
  }

  async begin() {
    this.start.disabled = true;
    fill(this.said, h("p", { class: "muted" }, "Checking, and starting …"));
    try {
      const { name, league, said } = await post(`${AT}/start`, { experiment: this.experiment.value, settings: this.settings.value });
      fill(this.said, h("p", {}, "Started: ", h("a", { href: place({ [league ? "league" : "run"]: name }) }, name)), h("pre", { class: "said" }, said));
      announce(`Started ${name}`);
      this.look();
    } catch (error) { fill(this.said, h("p", { class: "error", role: "alert" }, error.message)); } finally { this.start.disabled = false; }
  }

  // One of them

  makeDetail() {
    const { kind, name } = this;
    this.charts = new Map(); this.listed = null; this.mayCommand = null;
    this.head = h("div", { class: "row spread" });
    this.glance = h("dl", { class: "glance" });
    this.wrong = h("div", { class: "stack" });
    this.tabs = h("div", { class: "tabs", role: "group", "aria-label": "View" }, Object.entries(VIEWS[kind]).map(([view, label]) => h("button", { type: "button", "data-view": view, onclick: () => { location.hash = place({ [kind]: name, view }).slice(1); } }, label)));
    this.commands = h("div", { class: "stack", role: "group", "aria-label": "Commands" });
    this.panels = { curves: h("div", { class: "charts" }) };
    if (kind === "run") this.panels.metrics = h("section", { class: "panel", "aria-label": "Metrics" });
    else {
      const open = (member) => { location.hash = place({ run: `${name}/members/${member}` }).slice(1); };
      this.lineage = new Lineage(open); this.matrix = new Matrix();
      this.panels.lineage = this.lineage.element;
      this.panels.matrix = h("div", {}, this.matrix.element);
    }
    this.log = h("pre", { class: "log", tabindex: "0", "aria-label": "The end of the log" });
    this.panels.log = h("section", { class: "panel stack", "aria-label": "Log" }, this.log);
    this.panels.config = h("section", { class: "panel", "aria-label": "Config" });
    return h("div", { class: "detail stack" }, h("p", {}, h("a", { href: place() }, "← All runs and leagues")),
      h("section", { class: "panel stack", "aria-label": "At a glance" }, this.head, this.wrong, this.glance, this.commands), this.tabs, Object.values(this.panels));
  }

  choose() {
    for (const [view, panel] of Object.entries(this.panels)) panel.hidden = view !== this.view;
    for (const button of this.tabs.children) button.setAttribute("aria-pressed", String(button.dataset.view === this.view));
  }

  query(more = {}) { return new URLSearchParams({ name: this.name, ...(this.kind === "league" ? { kind: "league" } : {}), ...more }); }

  async lookAtOne(asked) {
    if (this.mayCommand === null) this.mayCommand = (await get(`${AT}/overview`)).may_command;
    const found = await get(`${AT}/${this.kind}?${this.query({ seen: this.seen })}`);
    if (asked !== this.asked) return false;
    if ("name" in found) { this.seen = found.version; this.last = found; this.show(found); }
    if (this.view === "log") {
      const log = await get(`${AT}/log?${this.query({ seen: this.logSeen })}`);
      if (asked !== this.asked) return false;
      if (log.lines) this.showLog(log);
    } else if (this.view === "config") {
      const { text, error } = await get(`${AT}/config?${this.query()}`);
      if (asked !== this.asked) return false;
      fill(this.panels.config, error ? h("p", { class: "error" }, error) : h("pre", { class: "log", tabindex: "0", "aria-label": "config.yaml" }, text));
    }
    return GOING_ON.includes(this.last?.status?.state);
  }

  show(found) {
    const { status } = found, current = status?.state ?? "unreadable";
    if (this.told && this.told !== current) announce(`${this.name} is ${current}`);
    this.told = current;
    fill(this.head, h("h1", {}, this.name), found.shipped ? h("span", { class: "muted" }, "comes with the package") : state(current));
    fill(this.wrong, found.errors.map((error) => h("p", { class: "banner error" }, error)), status?.reason ? h("p", { class: current === "failed" ? "error" : "muted" }, status.reason) : "");
    const facts = !status ? [] : this.kind === "run" ? [
      ["iterations", `${number(status.iterations, 0)} / ${status.total_iterations === null ? "?" : number(status.total_iterations, 0)}`], ["now", status.progress], ["left", status.eta_seconds === null ? null : duration(status.eta_seconds)],
      ["exploitability", status.exploitability === null ? null : `${short(status.exploitability)}, best ${short(status.best_exploitability)}`], ["examples a second", status.examples_per_second === null ? null : short(Math.round(status.examples_per_second))], ["experiment", [status.experiment, ...status.overrides].filter(Boolean).join(" ")], ["checkpoint", status.last_checkpoint],
      ["cost", status.cost_usd === null ? null : `${number(status.cost_usd)} USD`], ["time", status.seconds === null ? null : duration(status.seconds)], ["where", status.launcher && `${status.launcher}${status.pid && current === "running" ? `, process ${status.pid}` : ""}`], ["folder", status.folder],
    ] : [
      ["game", status.game], ["rounds", String(status.rounds)], ["members", `${status.members}, ${status.picked} of them picked`], ["exploitability", status.exploitability === null ? null : `${short(status.exploitability)}, best ${short(status.best_exploitability)} in round ${status.best_round}`],
      ["time", status.seconds === null ? null : duration(status.seconds)], ["in training", status.training.join(", ")], ["folder", status.folder],
    ];
    fill(this.glance, facts.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
    this.showCommands(found, current);
    this.showCurves(found.curves);
    if (this.kind === "run") this.showTable(found); else this.showLeague(found);
  }

  showCurves(panels) {
    const wanted = new Set(panels.map(({ title }) => title));
    for (const [title, chart] of this.charts) if (!wanted.has(title)) { chart.element.remove(); this.charts.delete(title); }
    panels.forEach((panel, at) => {
      let chart = this.charts.get(panel.title);
      if (!chart) { chart = new Chart(); this.charts.set(panel.title, chart); }
      const there = this.panels.curves.children[at];
      if (there !== chart.element) this.panels.curves.insertBefore(chart.element, there ?? null);
      chart.show(panel);
    });
    this.panels.curves.querySelector(".none")?.remove();
    if (!panels.length) this.panels.curves.append(h("p", { class: "muted none" }, "Nothing has been measured yet."));
  }

  showTable({ table: { columns, rows }, lines }) {
    fill(this.panels.metrics, rows.length ? "" : h("p", { class: "muted" }, "No iteration is over yet."), rows.length < lines ? h("p", { class: "muted" }, `The last ${rows.length} of ${lines} iterations.`) : "",
      rows.length ? table("Metrics", columns.map((name) => name.replaceAll("_", " ")), rows.map((row) => h("tr", {}, row.map((value, at) => h(at ? "td" : "th", at ? {} : { scope: "row" }, typeof value === "string" ? value : short(value)))))) : "");
  }

  showLeague({ members, matrix }) {
    if (members.length) this.lineage.show(members);
    this.matrix.element.hidden = !matrix;
    if (matrix) this.matrix.show(matrix);
    this.panels.matrix.querySelector(".none")?.remove();
    if (!matrix) this.panels.matrix.append(h("p", { class: "muted none" }, "Nobody has played yet."));
  }

  showLog({ version, lines, error }) {
    this.logSeen = version;
    const atEnd = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 20;
    this.log.textContent = error ?? (lines.join("\n") || "Nothing has been logged yet.");
    this.log.classList.toggle("error", Boolean(error));
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  showCommands(found, current) {
    const key = `${this.mayCommand}|${current}`;
    if (this.offered === key && this.commands.childElementCount) return;
    this.offered = key;
    if (!this.mayCommand || found.shipped) { fill(this.commands); return; }
    const answer = h("div", { role: "status" });
    const ask = (label, path, body, className = "") => h("button", { type: "button", class: className, onclick: () => this.command(path, body(), answer) }, label);
    if (GOING_ON.includes(current)) fill(this.commands, h("div", { class: "row" }, ask("Stop", "stop", () => ({}), "primary"), this.kind === "run" ? ask("Stop at once, unsaved", "stop", () => ({ now: true })) : ""), answer);
    else {
      const settings = h("input", { "aria-label": "Settings to resume with", placeholder: this.kind === "run" ? `iterations=${2 * (found.status?.total_iterations ?? 50)}` : `rounds=${2 * (found.status?.rounds ?? 10)}`, spellcheck: false, autocomplete: "off" });
      fill(this.commands, h("form", { class: "row resume", onsubmit: (event) => { event.preventDefault(); this.command("resume", { settings: settings.value }, answer); } }, settings, h("button", { type: "submit" }, "Resume")), answer);
    }
  }

  async command(path, body, answer) {
    const buttons = [...this.commands.querySelectorAll("button")];
    buttons.forEach((button) => { button.disabled = true; });
    fill(answer, h("p", { class: "muted" }, path === "stop" ? "Stopping: it saves a checkpoint …" : "Checking …"));
    try {
      const { said } = await post(`${AT}/${path}?${this.query()}`, body);
      fill(answer, h("pre", { class: "said" }, said));
    } catch (error) { fill(answer, h("p", { class: "error", role: "alert" }, error.message)); } finally {
      buttons.forEach((button) => { button.disabled = false; });
      this.offered = null;
      this.answer = answer;
      this.look();
    }
  }
}

export function mount(main) { new Page(main); }
