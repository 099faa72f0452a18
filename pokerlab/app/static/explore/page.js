// Explore: the form on one side, the solved tree on the other. The address says where one is.

import { h, fill, number, percent, announce, dialog } from "../dom.js";
import { get, post, upload } from "../api.js";
import { CELL_NAMES, SYMBOLS } from "../cards.js";
import { readAddress, writeAddress, toSetup, fromSetup, sameSpot, locksOf } from "./state.js";
import { Setup } from "./setup.js";
import { Grid, colours } from "./grid.js";
import { Tree } from "./tree.js";
import { HAND_FILE, MOST_HANDS, chooseDecision } from "./walk.js";
import { Report, askForReport } from "./report.js";
import { VIEWS, HandTable, Filters, select, cells, sum } from "./hands.js";

const API = "/api/explore", MOST_FILE = 256 * 2 ** 20;
const PLAYERS = ["OOP", "IP"], SOON = 150; // ms of an answer: what may follow is then asked for ahead

class Page {
  constructor(main) {
    this.state = readAddress();
    this.nodes = new Map();
    this.cell = null;
    this.playedOn = this.state.board;
    this.setup = new Setup(this.state, {
      changed: () => this.changed(), solve: () => this.solve(), open: (file) => this.open(file),
      report: () => askForReport(toSetup({ ...this.state, board: "" }), (id) => { this.state.report = id; writeAddress(this.state, { push: true }); this.report.follow(id); }),
    });
    this.report = new Report({ say: (error) => this.say(error), open: (board) => this.openFlop(board), close: () => { this.state.report = ""; writeAddress(this.state); this.report.follow(""); } });
    this.trouble = h("p", { class: "error banner", role: "alert", hidden: true });
    this.progress = h("section", { class: "panel progress", "aria-label": "Progress", hidden: true });
    this.tree = new Tree((line) => this.go(line));
    this.filters = new Filters(() => this.draw());
    this.grid = new Grid("Hands", { pick: (cell) => { this.cell = this.cell === cell ? null : cell; this.draw(); } });
    this.other = new Grid("Hands of the node that is compared");
    this.table = new HandTable();
    this.sums = h("div", { class: "sums" });
    this.players = h("div", { class: "tabs", role: "group", "aria-label": "Whose hands" });
    this.views = h("div", { class: "tabs", role: "group", "aria-label": "What the grid shows" });
    this.tools = h("div", { class: "row tools" });
    this.runouts = h("div", { class: "runouts" });
    this.compared = h("div", { class: "compared", hidden: true });
    this.results = h("section", { class: "results", "aria-label": "Solved spot", hidden: true },
      this.tree.element,
      this.pair = h("div", { class: "pair" },
        h("div", { class: "panel" },
          h("div", { class: "row spread" }, this.players, this.views), this.sums,
          h("div", { class: "grids" }, this.grid.element, this.compared), this.filters.element, this.tools),
        h("div", { class: "panel" }, this.runouts, this.table.element)));
    this.about = h("p", { class: "panel about", hidden: true });
    this.empty = h("section", { class: "panel empty-page" }, h("h1", {}, "Explore a spot"),
      h("p", {}, "Choose a board, both ranges and the bets, then press Solve. A river takes a second, a turn several."),
      h("p", { class: "muted" }, "Everything is computed on this machine. The address holds the whole spot: copy it to come back, or to share it."));
    fill(main, h("div", { class: "explore" }, h("aside", {}, this.setup.element), h("div", { class: "stage" }, this.trouble, this.about, this.progress, this.report.element, this.empty, this.results)));
    addEventListener("popstate", () => this.comeBack());
    addEventListener("hashchange", () => this.comeBack());
    addEventListener("keydown", (event) => this.key(event));
    this.showAbout();
    if (this.state.report) this.report.follow(this.state.report);
    if (this.state.id) this.follow(this.state.id);
  }

  // A flop of the report, with the form's ranges and bets.
  openFlop(board) {
    this.state.board = board;
    this.setup.show();
    this.changed();
    this.solve();
    announce(`Solving ${board}`);
  }

  showAbout() {
    const { about } = this.state;
    this.about.hidden = !about;
    this.about.textContent = about;
  }

  say(error) {
    if (error?.name === "AbortError") return;
    this.trouble.hidden = !error;
    this.trouble.textContent = error ? error.message : "";
  }

  comeBack() {
    const next = readAddress();
    if (!location.hash.startsWith("#/explore") && location.hash) return;
    const other = !sameSpot(this.state, next), spot = next.id !== this.state.id;
    Object.assign(this.state, next);
    this.playedOn = this.state.board;
    this.report.follow(this.state.report);
    if (other) this.setup.show();
    this.showAbout();
    if (spot || !this.node) { if (this.state.id) this.follow(this.state.id); } else if (this.state.id) this.load();
  }

  changed() {
    if (this.state.played && this.state.board !== this.playedOn) Object.assign(this.state, { played: "", about: "" });
    this.showAbout();
    this.setup.button.textContent = this.state.id && this.solved && !sameSpot(this.state, this.solved) ? "Solve again" : "Solve";
    writeAddress(this.state);
  }

  async solve() {
    this.say(null);
    this.setup.button.disabled = true;
    try {
      const job = await post(`${API}/solve`, toSetup(this.state));
      this.state.id = job.id;
      if (!this.keepLine && !this.state.played) this.state.line = "";
      this.keepLine = false;
      writeAddress(this.state, { push: true });
      await this.follow(job.id, job);
    } catch (error) { this.say(error); } finally { this.setup.button.disabled = false; }
  }

  // Looks how far a spot is until it is solved, then shows it.
  async follow(id, job) {
    this.following = id;
    let wait = 60;
    this.say(null);
    try {
      job ||= await get(`${API}/spots/${encodeURIComponent(id)}`);
      while (job.state === "queued" || job.state === "running") {
        this.showProgress(job);
        await new Promise((resolve) => { setTimeout(resolve, wait); });
        wait = Math.min(wait * 1.3, 400);
        if (this.following !== id) return;
        job = await get(`${API}/spots/${encodeURIComponent(id)}`);
      }
    } catch (error) {
      if (this.following === id) { this.progress.hidden = true; this.say(error); }
      return;
    }
    if (this.following !== id) return;
    if (job.state !== "done") {
      this.progress.hidden = true;
      this.say(job.state === "failed" ? new Error(job.error) : null);
      announce(job.state === "failed" ? job.error : "Cancelled");
      return;
    }
    this.showProgress(job);
    this.solved = { ...this.state };
    this.changed();
    await this.load();
    this.setup.element.classList.add("done");
    if (innerWidth <= 1000) this.progress.scrollIntoView({ block: "start" });
    announce(job.progress.percent === undefined ? "Solved" : `Solved to ${number(job.progress.percent)} % of the pot`);
  }

  showProgress(job) {
    const { percent: now, iterations = 0, seconds, curve = [], target, most, phase } = job.progress, over = job.state === "done";
    this.progress.hidden = false;
    const words = job.state === "queued" ? (job.position ? `Waiting: ${job.position} before this` : "Starting")
      : over ? "Solved" : phase === "saving" ? "Saving" : phase === "solving" || iterations ? "Solving" : "Preparing (the first time on a machine, loops are compiled)";
    const first = curve[0]?.[1] ?? now, share = over ? 1 : most ? iterations / most : !now || !target ? 0 : Math.min(Math.max(Math.log(first / now) / Math.log(first / target), 0), 1);
    const bar = h("progress", { max: 1, value: share, "aria-label": "Progress of solving" });
    fill(this.progress, h("div", { class: "row spread" }, h("strong", {}, words),
      h("span", { class: "muted" }, iterations ? `${number(iterations, 0)} iterations` : "", seconds ? `, ${number(seconds, 1)} s` : "", now ? `, exploitability ${number(now, 3)} % of the pot` : ""),
      over ? h("span", { class: "row" }, h("a", { class: "button", href: `${API}/spots/${job.id}/file`, download: "solved.spot" }, "Save"))
        : h("button", { type: "button", id: "cancel", onclick: async () => { try { await post(`${API}/spots/${job.id}/cancel`); } catch (error) { this.say(error); } } }, "Cancel")), bar);
  }

  async open(file) {
    this.say(null);
    const hands = HAND_FILE.test(file.name), most = hands ? MOST_HANDS : MOST_FILE;
    if (file.size > most) { this.say(new Error(`${file.name} has ${number(file.size / 2 ** 20, 0)} MB: expected ${hands ? "hands" : "a solved spot"} of at most ${most / 2 ** 20} MB`)); return; }
    try {
      if (hands) { await chooseDecision(file, () => toSetup({ ...this.state, locks: "" }), (found) => this.walk(found)); return; }
      const found = await upload(`${API}/open`, file);
      Object.assign(this.state, fromSetup(found.setup), { id: found.id, line: "", pin: "" });
      this.setup.show();
      writeAddress(this.state, { push: true });
      await this.follow(found.id);
    } catch (error) { this.say(error); }
  }

  // A decision of a recorded hand: the form is filled, and solving leads to it.
  walk({ setup, line, played, about }) {
    const { oop, ip } = this.state;
    Object.assign(this.state, fromSetup(setup), { oop, ip, id: "", line, played, about, pin: "" });
    this.playedOn = this.state.board;
    this.following = null;
    this.node = null;
    this.results.hidden = this.progress.hidden = true;
    this.empty.hidden = false;
    this.setup.show();
    this.showAbout();
    writeAddress(this.state, { push: true });
    announce(about);
  }

  // Nodes

  async fetchNode(id, line) {
    const key = `${id} ${line}`;
    if (!this.nodes.has(key)) {
      if (this.nodes.size > 200) this.nodes.delete(this.nodes.keys().next().value);
      this.nodes.set(key, await get(`${API}/spots/${encodeURIComponent(id)}/node?line=${encodeURIComponent(line)}`));
    }
    return this.nodes.get(key);
  }

  async fetchAhead(id, node, number_) {
    for (const { line } of node.options) {
      await new Promise((resolve) => { setTimeout(resolve); });
      if (number_ !== this.loading) return;
      await this.fetchNode(id, line).catch(() => {});
    }
  }

  go(line) {
    this.state.line = line;
    writeAddress(this.state, { push: true });
    this.load();
  }

  async load() {
    const { id, line } = this.state, number_ = (this.loading = (this.loading || 0) + 1);
    this.results.classList.add("busy");
    try {
      const asked = performance.now(), node = await this.fetchNode(id, line), took = performance.now() - asked;
      const pin = this.state.pin ? await this.fetchNode(...this.state.pin.split("|", 2).map(decodeURIComponent)).catch(() => null) : null;
      if (number_ !== this.loading) return;
      this.node = node; this.pinned = pin;
      this.empty.hidden = true; this.results.hidden = false;
      if (this.lastBoard !== node.board.join()) { this.filters.made.clear(); this.filters.draws.clear(); this.lastBoard = node.board.join(); }
      this.tree.show(node, this.state);
      this.draw();
      this.showRunouts(number_);
      if (took < SOON && node.actor < 2) this.fetchAhead(id, node, number_);
    } catch (error) {
      if (number_ !== this.loading) return;
      this.say(error);
      if (line && !this.node) { this.state.line = ""; await this.load(); this.say(error); }
    } finally { if (number_ === this.loading) this.results.classList.remove("busy"); }
  }

  get player() {
    if (this.state.player !== "") return Number(this.state.player);
    return this.node.actor < 2 ? this.node.actor : 0;
  }

  draw() {
    const { node, player, state } = this, begun = performance.now();
    const rows = select(node, player, this.filters), view = VIEWS[state.view] ? state.view : "strategy";
    this.grid.paint(cells(node, player, rows, view));
    this.grid.select(this.cell);
    this.redraw = performance.now() - begun;
    fill(this.players, [["", "Who acts"], ["0", "OOP"], ["1", "IP"]].map(([key, label]) => h("button", { type: "button", "aria-pressed": String(state.player === key),
      onclick: () => { state.player = key; writeAddress(state); this.draw(); } }, label)));
    fill(this.views, Object.entries(VIEWS).map(([key, label]) => h("button", { type: "button", "aria-pressed": String(view === key), "data-view": key,
      onclick: () => { state.view = key; writeAddress(state); this.draw(); } }, label)));
    this.filters.show(node, player);
    this.showSums(rows);
    this.showCompared(view);
    this.showTools();
    this.table.show(node, player, rows, this.cell, this.cell === null ? `${PLAYERS[player]}, all hands` : CELL_NAMES[this.cell]);
    document.documentElement.dataset.redraw = this.redraw.toFixed(1);
  }

  showSums(rows) {
    const { node, player } = this, found = sum(rows, node.pot), colour = colours(node.options);
    const both = [0, 1].map((of) => sum(select(node, of, { made: new Set(), draws: new Set() }), node.pot));
    const bar = h("div", { class: "share-bar", "aria-hidden": "true" });
    const legend = player === node.actor ? node.options.map((option, at) => {
      const part = h("span", {}); part.style.width = `${100 * (found.actions[at] ?? 0)}%`; part.style.background = colour[at]; bar.append(part);
      const swatch = h("span", { class: "swatch", "aria-hidden": "true" }); swatch.style.background = colour[at];
      return h("span", { class: "legend" }, swatch, `${option.label} `, h("strong", {}, percent(found.actions[at])));
    }) : [];
    fill(this.sums, h("table", { class: "both" }, h("thead", {}, h("tr", {}, ["", "Combinations", "Equity", "EV", "EQR"].map((label) => h("th", { scope: "col" }, label)))),
      h("tbody", {}, both.map((of, at) => h("tr", { class: at === player ? "chosen" : "" }, h("th", { scope: "row" }, PLAYERS[at]), h("td", {}, number(of.weight, 1)),
        h("td", {}, percent(of.equity)), h("td", {}, number(of.ev)), h("td", {}, percent(of.eqr, 0)))))),
    legend.length ? [bar, h("div", { class: "legends" }, legend)] : "");
  }

  showTools() {
    const { node, state } = this, at = `${API}/spots/${state.id}/export?line=${encodeURIComponent(state.line)}`;
    fill(this.tools,
      node.actor < 2 ? h("button", { type: "button", id: "lock", onclick: () => this.lock() }, node.locked ? "Locked: change…" : "Lock this node…") : "",
      h("button", { type: "button", id: "pin", onclick: () => { state.pin = state.pin ? "" : `${encodeURIComponent(state.id)}|${encodeURIComponent(state.line)}`; writeAddress(state); this.load(); } }, state.pin ? "End comparing" : "Compare with…"),
      h("a", { class: "button", href: `${at}&format=csv`, download: "node.csv" }, "CSV"), h("a", { class: "button", href: `${at}&format=json`, download: "node.json" }, "JSON"));
  }

  showCompared(view) {
    this.compared.hidden = !this.state.pin;
    this.pair.classList.toggle("comparing", Boolean(this.state.pin));
    if (!this.pinned) { fill(this.compared, this.state.pin ? h("p", { class: "muted" }, "The other node is gone: end comparing.") : ""); return; }
    const player = this.state.player !== "" ? Number(this.state.player) : Math.min(this.pinned.actor, 1);
    const rows = select(this.pinned, player, this.filters), found = sum(rows, this.pinned.pot), mine = sum(select(this.node, player, this.filters), this.node.pot);
    this.other.paint(cells(this.pinned, player, rows, view));
    const same = this.pinned.line === this.node.line && this.state.pin.startsWith(this.state.id);
    fill(this.compared, h("h3", {}, same ? "Pinned: this node. Go to another, or lock and solve again" : `Pinned: ${this.pinned.line || "start"}`),
      this.other.element, h("p", {}, `EV ${number(found.ev)} (here ${number(mine.ev)}), equity ${percent(found.equity)} (here ${percent(mine.equity)})`),
      h("p", {}, player === this.pinned.actor ? this.pinned.options.map((option, at) => `${option.label} ${percent(found.actions[at])}`).join(", ") : ""));
  }

  async showRunouts(number_) {
    fill(this.runouts);
    if (this.node.actor !== 2 || this.node.valued) return;
    fill(this.runouts, h("p", { class: "muted" }, "Every next card…"));
    try {
      const found = await get(`${API}/spots/${this.state.id}/runouts?line=${encodeURIComponent(this.state.line)}`);
      if (number_ !== this.loading) return;
      let order = ["card", 1];
      const draw = () => {
        const value = (row) => (order[0] === "card" ? found.rows.indexOf(row) : order[0] === "ev" ? row.ev[0] : order[0] === "equity" ? row.equity[0] : row.frequencies[Number(order[0])]);
        const rows = [...found.rows].sort((one, other) => order[1] * ((value(one) ?? -1) - (value(other) ?? -1)));
        const head = (key, label) => h("th", { scope: "col" }, h("button", { type: "button", class: "quiet", onclick: () => { order = [key, order[0] === key ? -order[1] : -1]; draw(); } }, label));
        const colour = colours(found.actions);
        fill(this.runouts, h("h3", {}, "Every next card"), h("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": "Every next card" }, h("table", {}, h("thead", {}, h("tr", {}, head("card", "Card"), head("ev", "EV OOP"), h("th", { scope: "col" }, "EV IP"), head("equity", "Equity OOP"),
          found.actions.map((action, at) => head(String(at), action.label)))), h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" },
          h("button", { type: "button", class: `quiet suit-${row.card[1]}`, onclick: () => this.go(row.line) }, row.card[0], SYMBOLS[row.card[1]])),
        h("td", {}, number(row.ev[0])), h("td", {}, number(row.ev[1])), h("td", {}, percent(row.equity[0])), row.frequencies.map((share, at) => {
          const bar = h("td", { class: "bar" }, percent(share)); bar.style.setProperty("--share", `${100 * (share ?? 0)}%`); bar.style.setProperty("--colour", colour[at]); return bar;
        })))))));
      };
      draw();
    } catch (error) { this.say(error); }
  }

  // Locking

  lock() {
    const { node, state } = this, now = sum(select(node, node.actor, this.filters), node.pot).actions;
    const hands = h("input", { type: "text", placeholder: "all hands", spellcheck: false, value: this.cell === null ? "" : CELL_NAMES[this.cell], name: "lock-hands" });
    const inputs = node.options.map((option, at) => h("input", { type: "text", inputMode: "decimal", name: option.word, value: String(Math.round(1000 * (now[at] ?? 0)) / 10) }));
    const trouble = h("p", { class: "error", role: "alert" });
    const use = () => {
      const chances = inputs.map((input) => Number(input.value));
      if (chances.some((chance) => !(chance >= 0)) || Math.abs(chances.reduce((a, b) => a + b, 0) - 100) > 0.5) { trouble.textContent = "expected numbers that add up to 100 %"; return; }
      const total = chances.reduce((a, b) => a + b, 0), strategy = Object.fromEntries(node.options.map((option, at) => [option.word, chances[at] / total]));
      const others = locksOf(state).filter((lock) => lock.line !== node.line || lock.hands !== hands.value.trim());
      state.locks = JSON.stringify([...others, { line: node.line, hands: hands.value.trim(), strategy }]);
      box.close();
      this.setup.show(); this.keepLine = true; this.changed(); this.solve();
    };
    const box = dialog(`Lock ${PLAYERS[node.actor]} at ${node.line || "the start"}`, h("div", { class: "stack" },
      h("p", { class: "muted" }, "What is locked stays; the rest is solved against it again."),
      h("label", { class: "field" }, h("span", {}, "Hands"), hands),
      node.options.map((option, at) => h("label", { class: "field" }, h("span", {}, `${option.label}, %`), inputs[at])), trouble),
    [h("button", { type: "button", onclick: () => box.close() }, "Cancel"), h("button", { type: "button", class: "primary", id: "lock-solve", onclick: use }, "Lock and solve again")]);
  }

  key(event) {
    if (event.target.closest("input, textarea, select, dialog, .grid") || event.ctrlKey || event.metaKey || event.altKey || !this.node) return;
    if (event.key === "Backspace" && this.node.path.length) { event.preventDefault(); this.go(this.node.path.at(-1).line); }
    if (/^[1-9]$/.test(event.key) && this.node.actor < 2 && this.node.options[Number(event.key) - 1]) this.go(this.node.options[Number(event.key) - 1].line);
  }
}

export function mount(main) { return new Page(main); }
