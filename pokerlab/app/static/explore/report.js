// Many flops with the ranges and bets of the form: chosen in a dialog, followed while they are solved, sorted.

import { h, fill, dialog, number, percent, announce } from "../dom.js";
import { get, post } from "../api.js";
import { SYMBOLS } from "../cards.js";
import { colours } from "./grid.js";

const API = "/api/explore", MOST_SHOWN = 300;
const FIRST = ["board", "weight", "line", "player", "iterations", "exploitability_percent", "equity_0", "equity_1", "ev_0", "ev_1", "eqr_0", "eqr_1"];
const COLUMNS = [["equity_0", "Equity OOP", percent], ["ev_0", "EV OOP", number], ["ev_1", "EV IP", number], ["eqr_0", "EQR OOP", (value) => percent(value, 0)]];
const flop = (name) => (name.match(/^([2-9TJQKA][cdhs]){3}$/) ? name.match(/../g).map((card) => h("span", { class: `suit-${card[1]}` }, card[0], SYMBOLS[card[1]])) : [name]);
const splitLines = (text) => text.split(";").map((line) => line.trim()).map((line) => (line.toLowerCase() === "start" ? "" : line));

// setup: what the form says; begun(id): the report was queued.
export function askForReport(setup, begun) {
  const which = h("select", { name: "boards" }, [["25", "25 flops that stand for all"], ["100", "100 flops that stand for all"], ["all", "all 1,755 flops that differ"], ["list", "these flops:"]].map(([value, label]) => h("option", { value }, label)));
  const list = h("textarea", { rows: 3, spellcheck: false, placeholder: "Td9d6h, As7d2c", "aria-label": "Flops" });
  const lines = h("input", { type: "text", value: "start; check", spellcheck: false, name: "lines" });
  const trouble = h("p", { class: "error", role: "alert" });
  const listed = () => { list.hidden = which.value !== "list"; };
  which.addEventListener("change", listed); listed();
  const begin = async () => {
    const boards = which.value === "list" ? list.value.split(/[\s,;]+/).filter(Boolean) : which.value === "all" ? "all" : Number(which.value);
    try {
      const job = await post(`${API}/report`, { setup, boards, lines: splitLines(lines.value) });
      box.close();
      begun(job.id);
    } catch (error) { trouble.textContent = error.message; }
  };
  const box = dialog("Report of many flops", h("div", { class: "stack" },
    h("p", { class: "muted" }, `Solved one after the other with the ranges, pot, stacks and bets of the form; ${setup.leaf ? `${setup.leaf} values what comes after the flop` : "each is played to the end: choose a network in the form if that takes too long"}.`),
    h("label", { class: "field" }, h("span", {}, "Flops"), which), list,
    h("label", { class: "field" }, h("span", {}, "Where in the flop's betting, separated by ;"), lines), trouble),
  [h("button", { type: "button", onclick: () => box.close() }, "Cancel"), h("button", { type: "button", class: "primary", id: "begin-report", onclick: begin }, "Begin")]);
}

export class Report {
  // open(board): one of the flops is wanted; close(): the report is not wanted any more.
  constructor({ open, close, say }) {
    this.open = open; this.say = say;
    this.order = ["weight", -1]; this.line = null; this.search = "";
    this.head = h("div", { class: "stack" });
    this.table = h("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": "Flops" });
    this.lines = h("div", { class: "tabs", role: "group", "aria-label": "Where in the flop's betting" });
    const filter = h("input", { type: "search", placeholder: "Flops with, such as A or Kd", "aria-label": "Flops with", oninput: () => { this.search = filter.value.trim(); this.draw(); } });
    this.csv = h("a", { class: "button", download: "report.csv" }, "CSV");
    this.element = h("section", { class: "panel stack report", "aria-label": "Report of many flops", hidden: true },
      this.head, h("div", { class: "row spread" }, this.lines, h("div", { class: "row" }, filter, this.csv, h("button", { type: "button", onclick: close }, "Close the report"))), this.table);
  }

  async follow(id) {
    if (this.id === id) return;
    this.id = id; this.rows = []; this.means = []; this.line = null;
    this.element.hidden = !id;
    if (!id) return;
    this.csv.href = `${API}/spots/${encodeURIComponent(id)}/report`;
    fill(this.table);
    try {
      for (;;) {
        const job = await get(`${API}/spots/${encodeURIComponent(id)}`);
        const found = await get(`${API}/spots/${encodeURIComponent(id)}/rows?first=${this.rows.length}`);
        if (this.id !== id) return;
        this.rows.push(...found.rows); this.means = found.means;
        this.status(job);
        if (found.rows.length || !this.table.childElementCount) this.draw();
        if (job.state !== "queued" && job.state !== "running") { announce(job.state === "done" ? "The report is complete" : job.error || "The report was cancelled"); return; }
        await new Promise((resolve) => { setTimeout(resolve, 700); });
        if (this.id !== id) return;
      }
    } catch (error) { if (this.id === id) { this.id = null; this.element.hidden = true; this.say(error); } }
  }

  status(job) {
    const { done = 0, total = 0, before = 0, skipped = 0, seconds = 0, board = "" } = job.progress;
    const flops = Math.max(done, new Set(this.rows.map((row) => row.board)).size + skipped);
    const going = job.state === "queued" || job.state === "running", each = done > before ? seconds / (done - before) : null;
    const words = { queued: job.position ? `Waiting: ${job.position} before this` : "Starting", running: `Solving ${board}`, done: "Complete", failed: job.error, cancelled: "Cancelled" }[job.state];
    fill(this.head, h("div", { class: "row spread" }, h("h2", {}, "Many flops"), h("strong", { class: job.state === "failed" ? "error" : "" }, words),
      h("span", { class: "muted" }, `${number(flops, 0)} of ${number(total, 0)} flops`, each !== null && going ? `, about ${number((each * (total - done)) / 60, 0)} min to go` : "", skipped ? `; ${skipped} left out, where the ranges cannot meet` : ""),
      going ? h("button", { type: "button", id: "cancel-report", onclick: async () => { try { await post(`${API}/spots/${job.id}/cancel`); } catch (error) { this.say(error); } } }, "Cancel")
        : job.state === "done" ? "" : h("button", { type: "button", onclick: async () => { try { await post(`${API}/spots/${job.id}/again`); this.id = null; this.follow(job.id); } catch (error) { this.say(error); } } }, "Go on")),
    h("progress", { max: Math.max(total, 1), value: flops, "aria-label": "Progress of the report" }));
  }

  draw() {
    const lines = [...new Set(this.rows.map((row) => row.line))];
    if (!lines.length) { fill(this.lines); fill(this.table, h("p", { class: "muted" }, "The first flop is being solved…")); return; }
    if (!lines.includes(this.line)) [this.line] = lines;
    fill(this.lines, lines.map((line) => h("button", { type: "button", "aria-pressed": String(line === this.line), onclick: () => { this.line = line; this.draw(); } }, line || "start")));
    const all = this.rows.filter((row) => row.line === this.line), mean = this.means.find((row) => row.line === this.line);
    const actions = [...new Set(all.flatMap((row) => Object.keys(row).filter((key) => !FIRST.includes(key) && row[key] !== null)))];
    const colour = colours(actions.map((name) => ({ kind: name.split(" ")[0] })));
    const [key, direction] = this.order, value = (row) => (key === "board" ? all.indexOf(row) : row[key] ?? -Infinity);
    const found = all.filter((row) => row.board.toLowerCase().includes(this.search.toLowerCase())).sort((one, other) => direction * (value(one) - value(other)) || all.indexOf(one) - all.indexOf(other));
    const heading = (name, label) => h("th", { scope: "col", "aria-sort": name === key ? (direction > 0 ? "ascending" : "descending") : null },
      h("button", { type: "button", class: "quiet", onclick: () => { this.order = [name, name === key ? -direction : name === "board" ? 1 : -1]; this.draw(); } }, label));
    const cells = (row) => [...actions.map((name, at) => {
      const bar = h("td", { class: "bar" }, percent(row[name]));
      bar.style.setProperty("--share", `${100 * (row[name] ?? 0)}%`); bar.style.setProperty("--colour", colour[at]);
      return bar;
    }), ...COLUMNS.map(([name, , show]) => h("td", {}, show(row[name]))), h("td", {}, percent(row.weight, 2))];
    fill(this.table, h("table", {}, h("thead", {}, h("tr", {}, heading("board", "Flop"), actions.map((name) => heading(name, name)), COLUMNS.map(([name, label]) => heading(name, label)), heading("weight", "Weight"))),
      h("tbody", {}, mean ? h("tr", { class: "total" }, h("th", { scope: "row" }, "On average"), cells(mean)) : "",
        found.slice(0, MOST_SHOWN).map((row) => h("tr", {}, h("th", { scope: "row" }, h("button", { type: "button", class: "quiet hand", "aria-label": `Solve ${row.board}`, onclick: () => this.open(row.board) }, flop(row.board))), cells(row))))),
    found.length > MOST_SHOWN ? h("p", { class: "muted" }, `and ${number(found.length - MOST_SHOWN, 0)} more: sort, or say which flops; the CSV has all`) : "");
  }
}
