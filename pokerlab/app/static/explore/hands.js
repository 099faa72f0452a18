// One player's hands at a node: summed up in cells and filters, and listed one by one.

import { h, fill, number, percent } from "../dom.js";
import { CELL_NAMES, CELL_OF, SYMBOLS, handName } from "../cards.js";
import { colours } from "./grid.js";

export const VIEWS = { strategy: "Strategy", range: "Range", ev: "EV", equity: "Equity", eqr: "EQR" };
const HEAT = (share) => `color-mix(in oklab, var(--heat-low), var(--heat-high) ${(100 * Math.min(Math.max(share, 0), 1)).toFixed(0)}%)`;

// A player's hands as columns, those that the filters leave.
export function select(node, player, filters) {
  const of = node.players[player], rows = [];
  for (let at = 0; at < of.hands.length; at += 1) {
    const hand = of.hands[at];
    if (filters.made.size && !filters.made.has(node.made[hand])) continue;
    if (filters.draws.size && ![...filters.draws].some((bit) => (bit < 0 ? node.draws[hand] === 0 : node.draws[hand] & (1 << bit)))) continue;
    rows.push({
      hand, at, weight: of.weight[at], joint: of.weight[at] * of.met[at], equity: of.equity[at], ev: of.ev[at],
      eqr: of.eqr[at] ?? (of.equity[at] === 0 && of.ev[at] > 0 ? Infinity : null),
      actions: player === node.actor ? node.strategy.map((chances) => chances[at]) : [],
    });
  }
  return rows;
}

// Means over pairs of hands that can meet.
export function sum(rows, pot) {
  let joint = 0, weight = 0, ev = 0, equity = 0;
  const actions = rows.length ? rows[0].actions.map(() => 0) : [];
  for (const row of rows) {
    weight += row.weight;
    if (!(row.joint > 0) || row.ev === null) continue;
    joint += row.joint; ev += row.joint * row.ev; equity += row.joint * (row.equity ?? 0);
    row.actions.forEach((chance, action) => { actions[action] += row.joint * chance; });
  }
  if (!(joint > 0)) return { weight, ev: null, equity: null, eqr: null, actions: actions.map(() => null) };
  ev /= joint; equity /= joint;
  return { weight, ev, equity, eqr: equity > 0 ? ev / (equity * pot) : ev > 1e-9 * pot ? Infinity : 1, actions: actions.map((of) => of / joint) };
}

const shown = { ev: (value, pot) => number(value, pot >= 100 ? 1 : 2), equity: (value) => number(100 * value, 0), eqr: (value) => number(100 * value, 0) };

export function cells(node, player, rows, view) {
  const byCell = Array.from({ length: 169 }, () => []);
  rows.forEach((row) => byCell[CELL_OF[row.hand]].push(row));
  const colour = colours(node.options), acts = player === node.actor;
  return byCell.map((of, cell) => {
    const found = sum(of, node.pot), name = CELL_NAMES[cell];
    const mean = of.length ? found.weight / of.length : 0;
    if (!(mean > 1e-5)) return { parts: [], height: 0, value: "", label: `${name}: not in the range` };
    const height = Math.max(Math.sqrt(mean), 0.12);
    if (view === "strategy" && acts) {
      const shares = found.actions.some((chance) => chance === null) ? [] : found.actions;
      const words = node.options.map((option, at) => `${option.label} ${percent(shares[at])}`).join(", ");
      return { parts: shares.map((share, at) => [share, colour[at]]).filter(([share]) => share > 5e-4), height, value: "", label: `${name}: ${words}` };
    }
    if (view === "strategy" || view === "range") {
      return { parts: [[1, "var(--range)"]], height, value: mean < 0.995 ? String(Math.round(100 * mean)) : "", label: `${name}: weight ${percent(mean)}` };
    }
    const value = found[view], most = view === "ev" ? node.pot : view === "equity" ? 1 : 1.5;
    if (value === null) return { parts: [], height: 0, value: "–", label: `${name}: meets no hand` };
    return { parts: [[1, HEAT(value / most)]], height, value: shown[view](value, node.pot), label: `${name}: ${VIEWS[view]} ${shown[view](value, node.pot)}` };
  });
}

export function handText(hand) {
  const name = handName(hand);
  return h("span", { class: "hand" }, [0, 2].map((at) => h("span", { class: `suit-${name[at + 1]}` }, name[at], SYMBOLS[name[at + 1]])));
}

const AT_ONCE = 50; // rows; more come when they are scrolled to
const COLUMNS = [["weight", "Weight"], ["equity", "Equity"], ["ev", "EV"], ["eqr", "EQR"]];

export class HandTable {
  constructor() {
    this.order = ["ev", -1];
    this.head = h("tr", {});
    this.body = h("tbody", {});
    this.more = h("button", { type: "button", class: "quiet", onclick: () => this.add() });
    this.element = h("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": "Hands one by one" }, h("table", {}, h("thead", {}, this.head), this.body), this.more);
    this.element.addEventListener("scroll", () => { if (this.element.scrollTop + 2 * this.element.clientHeight > this.element.scrollHeight) this.add(); });
  }

  show(node, player, rows, cell, heading) {
    const acts = player === node.actor, colour = colours(node.options);
    const listed = rows.filter((row) => row.weight > 1e-5 && (cell === null || CELL_OF[row.hand] === cell));
    const [key, direction] = this.order;
    const value = (row) => (key === "hand" ? row.hand : key.startsWith("action") ? row.actions[Number(key.slice(6))] ?? 0 : row[key] ?? -Infinity);
    listed.sort((one, other) => direction * (value(one) - value(other)));
    const columns = [["hand", heading], ...(acts ? node.options.map((option, at) => [`action${at}`, option.label]) : []), ...COLUMNS];
    fill(this.head, columns.map(([name, label]) => h("th", { scope: "col", "aria-sort": key === name ? (direction > 0 ? "ascending" : "descending") : null },
      h("button", { type: "button", class: "quiet", onclick: () => { this.order = [name, key === name ? -direction : -1]; this.show(node, player, rows, cell, heading); } }, label))));
    const line = (first, row, kind) => h("tr", { class: kind }, h("th", { scope: "row" }, first),
      (acts ? row.actions : []).map((chance, at) => {
        const bar = h("td", { class: "bar" }, percent(chance));
        bar.style.setProperty("--share", `${100 * (chance ?? 0)}%`); bar.style.setProperty("--colour", colour[at]);
        return bar;
      }),
      h("td", {}, kind ? number(row.weight, 1) : number(100 * row.weight, 0)), h("td", {}, percent(row.equity)), h("td", {}, number(row.ev)), h("td", {}, percent(row.eqr, 0)));
    fill(this.body, line("All", sum(listed, node.pot), "total"));
    this.left = listed;
    this.line = (row) => line(handText(row.hand), row, "");
    this.element.scrollTop = 0;
    this.add();
  }

  add() {
    this.body.append(...this.left.slice(0, AT_ONCE).map(this.line));
    this.left = this.left.slice(AT_ONCE);
    this.more.hidden = !this.left.length;
    this.more.textContent = `${this.left.length} more`;
  }
}

// Filters by made hand and draw: buttons with how much of the range each has.
export class Filters {
  constructor(changed) {
    this.made = new Set(); this.draws = new Set(); this.changed = changed;
    this.element = h("div", { class: "filters" });
  }

  show(node, player) {
    const of = node.players[player], made = new Map(), draws = new Map();
    let total = 0;
    of.hands.forEach((hand, at) => {
      total += of.weight[at];
      made.set(node.made[hand], (made.get(node.made[hand]) ?? 0) + of.weight[at]);
      node.kinds[1].forEach((_, bit) => { if (node.draws[hand] & (1 << bit)) draws.set(bit, (draws.get(bit) ?? 0) + of.weight[at]); });
      if (node.board.length < 5 && node.draws[hand] === 0) draws.set(-1, (draws.get(-1) ?? 0) + of.weight[at]);
    });
    const chips = (names, found, chosen) => [...found.entries()].sort(([one], [other]) => one - other).map(([kind, weight]) =>
      h("button", { type: "button", class: "chip", "aria-pressed": String(chosen.has(kind)), onclick: () => {
        if (!chosen.delete(kind)) chosen.add(kind);
        this.show(node, player); this.changed();
      } }, kind < 0 ? "no draw" : names[kind], h("span", { class: "muted" }, ` ${percent(total ? weight / total : null)}`)));
    fill(this.element, h("div", { class: "chips", role: "group", "aria-label": "Made hands" }, chips(node.kinds[0], made, this.made)),
      draws.size ? h("div", { class: "chips", role: "group", "aria-label": "Draws" }, chips(node.kinds[1], draws, this.draws)) : "",
      this.made.size || this.draws.size ? h("button", { type: "button", class: "quiet", onclick: () => { this.made.clear(); this.draws.clear(); this.show(node, player); this.changed(); } }, "Clear filters") : "");
  }
}
