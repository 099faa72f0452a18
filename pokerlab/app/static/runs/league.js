// A league as drawings: who came from whom, and who wins what of whom.

import { h, fill, redraw } from "../dom.js";
import { svg, short } from "./chart.js";

const ROW = 26, LEFT = 24, RIGHT = 120, TOP = 14, BOTTOM = 30;

// Members over rounds, a line from each to its parent; the larger, the heavier in the last mixture.
export class Lineage {
  constructor(open) {
    this.open = open;
    this.at = null;
    this.drawing = h("div", { class: "drawing scrolling" });
    this.told = h("p", { class: "muted told", "aria-live": "polite" }, "Arrow keys go from member to member.");
    this.table = h("div", { class: "table-box" });
    this.element = h("section", { class: "panel chart", "aria-label": "Lineage" }, h("h3", {}, "Lineage", h("span", { class: "muted" }, " (large: heavy in the last mixture)")), this.drawing, this.told,
      h("details", {}, h("summary", {}, "As a table"), this.table));
    new ResizeObserver(() => { if (this.members && Math.abs(this.drawing.clientWidth - this.width) > 1) this.draw(); }).observe(this.drawing);
  }

  show(members) {
    this.members = members;
    this.draw();
    fill(this.table, h("table", {}, h("caption", { class: "sr-only" }, "Members"), h("thead", {}, h("tr", {}, ["member", "round", "from", "parent", "weight", "exploitability"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, members.map((member) => h("tr", {}, h("th", { scope: "row" }, member.run ? h("button", { type: "button", class: "quiet", onclick: () => this.open(member.name) }, member.name) : member.name),
        h("td", {}, short(member.round)), h("td", {}, member.source ?? member.origin), h("td", {}, member.parent ?? "–"), h("td", {}, member.weight.toFixed(3)), h("td", {}, short(member.exploitability)))))));
  }

  draw() {
    this.width = Math.max(this.drawing.clientWidth, 260);
    const members = this.members, row = new Map(), first = new Map();
    members.forEach((member, number) => {
      // the first child goes on in its parent's row, others get one of their own
      if (!first.has(member.parent)) first.set(member.parent, number);
      const goesOn = first.get(member.parent) === number && row.has(member.parent);
      row.set(member.name, goesOn ? row.get(member.parent) : Math.max(-1, ...row.values()) + 1);
    });
    const rows = Math.max(0, ...row.values()) + 1, last = Math.max(1, ...members.map(({ round }) => round));
    const step = rows > 24 ? Math.max(600 / rows, 6) : ROW, height = TOP + BOTTOM + rows * step;
    const place = new Map(members.map((member) => [member.name, [LEFT + (member.round / last) * (this.width - LEFT - RIGHT), TOP + (row.get(member.name) + 0.5) * step]]));
    const drawing = svg("svg", { width: this.width, height, viewBox: `0 0 ${this.width} ${height}`, role: "img", tabindex: "0", "aria-label": `${members.length} members in ${last + 1} rounds; the table has them all.` });
    for (const member of members) if (place.has(member.parent)) {
      const [[x, y], [fromX, fromY]] = [place.get(member.name), place.get(member.parent)];
      drawing.append(svg("path", { class: "descent", d: `M${fromX} ${fromY} C${(fromX + x) / 2} ${fromY} ${(fromX + x) / 2} ${y} ${x} ${y}` }));
    }
    const heavy = new Set([...members].sort((one, other) => other.weight - one.weight).slice(0, members.length <= 8 ? 8 : 5).filter(({ weight }) => weight > 0 || members.length <= 8));
    const nodes = members.map((member) => {
      const [x, y] = place.get(member.name);
      const node = svg("circle", { class: member.weight > 0 ? "member picked" : "member", cx: x, cy: y, r: 3 + 9 * Math.sqrt(member.weight) });
      node.addEventListener("pointerenter", () => this.point(member));
      drawing.append(node);
      if (heavy.has(member)) drawing.append(svg("text", { class: "name", x: x + 6 + 9 * Math.sqrt(member.weight), y: y + 4 }, member.weight > 0 ? `${member.name} ${member.weight.toFixed(2)}` : member.name));
      return node;
    });
    this.nodes = nodes;
    drawing.append(svg("text", { class: "tick", x: LEFT, y: height - 6 }, "round 0"), svg("text", { class: "tick", x: this.width - RIGHT, y: height - 6, "text-anchor": "end" }, `round ${last}`));
    const here = () => members.findIndex(({ name }) => name === this.at);
    drawing.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key], at = here();
      if (event.key === "Enter" && at >= 0 && members[at].run) this.open(members[at].name);
      if (!move || !members.length) return;
      event.preventDefault();
      this.point(members[Math.min(Math.max(at + move, 0), members.length - 1)]);
    });
    redraw(this.drawing, drawing);
    if (here() >= 0) this.point(members[here()]);
  }

  point(member) {
    this.at = member.name;
    this.nodes.forEach((node, number) => node.classList.toggle("here", this.members[number] === member));
    this.told.textContent = `${member.name}, round ${member.round}: ${member.source ?? member.origin}${member.parent ? `, from ${member.parent}` : ""}, weight ${member.weight.toFixed(3)}${member.exploitability === null ? "" : `, exploitability ${short(member.exploitability)}`}`;
  }
}

// Chips a hand that the row's member wins of the column's: blue wins, orange loses, and the sign says it too.
export class Matrix {
  constructor() {
    this.at = [];
    this.drawing = h("div", { class: "drawing scrolling" });
    this.told = h("p", { class: "muted told", "aria-live": "polite" }, "Arrow keys go from cell to cell.");
    this.note = h("p", { class: "muted" });
    this.table = h("div", { class: "table-box" });
    this.element = h("section", { class: "panel chart", "aria-label": "Payoffs" }, h("h3", {}, "Payoffs", h("span", { class: "muted" }, " (chips a hand that the row's member wins of the column's)")), this.drawing, this.told, this.note,
      h("details", {}, h("summary", {}, "As a table"), this.table));
    new ResizeObserver(() => { if (this.matrix && Math.abs(this.drawing.clientWidth - this.width) > 1) this.draw(); }).observe(this.drawing);
  }

  show(matrix) {
    this.matrix = matrix;
    this.draw();
    const { members, payoffs, of } = matrix;
    this.note.textContent = members.length < of ? `${members.length} of ${of} members: those that are picked most often, then the newest.` : "";
    fill(this.table, h("table", {}, h("caption", { class: "sr-only" }, "Payoffs"), h("thead", {}, h("tr", {}, h("th"), members.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, payoffs.map((row, i) => h("tr", {}, h("th", { scope: "row" }, members[i]), row.map((_, j) => h("td", {}, this.entry(i, j))))))));
  }

  entry(i, j) {
    const value = this.matrix.payoffs[i][j], half = this.matrix.half_width[i][j];
    return value === null ? "–" : `${value > 0 ? "+" : ""}${short(value)}${half ? ` ± ${short(half)}` : ""}`;
  }

  draw() {
    this.width = Math.max(this.drawing.clientWidth, 240);
    const { members, payoffs } = this.matrix, count = members.length;
    const names = Math.min(110, 12 + 7 * Math.max(...members.map((name) => name.length)));
    const size = Math.min(Math.max((this.width - names - 4) / count, 9), 56), numbers = size >= 38;
    const clip = (name) => (7 * name.length > names - 8 ? `${name.slice(0, Math.floor((names - 16) / 7))}…` : name);
    const most = Math.max(...payoffs.flat().map((value) => Math.abs(value ?? 0))) || 1, side = size * count, above = numbers ? 18 : 6;
    const drawing = svg("svg", { width: names + side + 2, height: above + side + 4, role: "img", tabindex: "0", "aria-label": `Payoffs of ${count} members; the table has the numbers.` });
    members.forEach((name, i) => {
      if (size >= 11) drawing.append(svg("text", { class: "tick", x: names - 6, y: above + (i + 0.5) * size + 4, "text-anchor": "end" }, clip(name)));
      if (numbers) drawing.append(svg("text", { class: "tick", x: names + (i + 0.5) * size, y: 12, "text-anchor": "middle" }, name.length > 7 ? `${name.slice(0, 6)}…` : name));
      payoffs[i].forEach((value, j) => {
        const cell = svg("rect", { class: value === null ? "pay unknown" : value < 0 ? "pay loses" : "pay wins", "fill-opacity": value === null ? 1 : (0.08 + 0.92 * Math.abs(value) / most).toFixed(3), x: names + j * size, y: above + i * size, width: size - 1, height: size - 1 });
        cell.addEventListener("pointerenter", () => this.point(i, j, here));
        drawing.append(cell);
        if (numbers && value !== null) drawing.append(svg("text", { class: Math.abs(value) > 0.55 * most ? "pay-number strong" : "pay-number", x: names + (j + 0.5) * size, y: above + (i + 0.5) * size + 4, "text-anchor": "middle" }, `${value > 0 ? "+" : ""}${Number(value.toPrecision(2))}`));
      });
    });
    const here = svg("rect", { class: "here", width: size - 1, height: size - 1, visibility: "hidden" });
    this.corner = [names, above, size];
    drawing.append(here);
    const places = () => this.at.map((name) => members.indexOf(name));
    drawing.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!move) return;
      event.preventDefault();
      const within = (value) => Math.min(Math.max(value, 0), count - 1);
      const [row = 0, column = -1] = places();
      this.point(within(row + move[0]), within(column + move[1]), here);
    });
    redraw(this.drawing, drawing);
    const [row = -1, column = -1] = places();
    if (row >= 0 && column >= 0) this.point(row, column, here);
  }

  point(i, j, here) {
    const [left, above, size] = this.corner;
    this.at = [this.matrix.members[i], this.matrix.members[j]];
    here.setAttribute("x", left + j * size); here.setAttribute("y", above + i * size); here.setAttribute("visibility", "visible");
    this.told.textContent = `${this.matrix.members[i]} against ${this.matrix.members[j]}: ${this.entry(i, j)}`;
  }
}
