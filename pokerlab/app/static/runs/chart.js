// Curves as SVG: drawn at the width there is, read by the pointer or the arrow keys, and as a table.

import { h, fill, redraw } from "../dom.js";

const SPACE = "http://www.w3.org/2000/svg";
const HEIGHT = 260, LEFT = 62, RIGHT = 14, TOP = 12, BOTTOM = 34;
const MARKS = ["circle", "square", "triangle", "diamond"];

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) element.setAttribute(name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Three or four digits, whatever the size; powers of ten where it is very small or large.
export function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2).replace("e+", "e");
  return Number.isInteger(value) ? value.toLocaleString("en-US") : Number(value.toPrecision(4)).toLocaleString("en-US", { maximumSignificantDigits: 4 });
}

// Round numbers from low to high, about so many.
function ticks(low, high, wanted) {
  if (!(high > low)) return [low];
  const raw = (high - low) / Math.max(wanted, 1), power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((of) => of * power).find((of) => of >= raw * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) found.push(Number((at * step).toPrecision(12)));
  return found;
}

function logTicks(low, high) {
  const found = [], [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const parts = last - first <= 2 ? [1, 2, 5] : [1];
  for (let power = first; power <= last; power += 1) for (const part of parts) { const at = part * 10 ** power; if (at >= low * 0.999 && at <= high * 1.001) found.push(at); }
  return found.length > 1 ? found : [low, high];
}

function mark(kind, x, y, size, colour) {
  const attributes = { class: `mark ${colour}` };
  if (kind === "circle") return svg("circle", { ...attributes, cx: x, cy: y, r: size });
  const shapes = { square: [[-1, -1], [1, -1], [1, 1], [-1, 1]], triangle: [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]], diamond: [[0, -1.4], [1.4, 0], [0, 1.4], [-1.4, 0]] };
  return svg("polygon", { ...attributes, points: shapes[kind].map(([dx, dy]) => `${x + dx * size},${y + dy * size}`).join(" ") });
}

export class Chart {
  constructor() {
    this.drawing = h("div", { class: "drawing" });
    this.legend = h("p", { class: "legends" });
    this.told = h("p", { class: "muted told", "aria-live": "polite" });
    this.title = h("h3");
    this.table = h("div", { class: "table-box" });
    this.details = h("details", { ontoggle: () => this.tabulate() }, h("summary", {}, "As a table"), this.table);
    this.element = h("section", { class: "panel chart" }, this.title, this.legend, this.drawing, this.told, this.details);
    this.at = null;
    new ResizeObserver(() => { if (this.panel && Math.abs(this.drawing.clientWidth - this.width) > 1) this.draw(); }).observe(this.drawing);
  }

  show(panel) {
    this.panel = panel;
    this.element.setAttribute("aria-label", panel.title);
    fill(this.title, panel.title, panel.unit ? h("span", { class: "muted" }, ` (${panel.unit})`) : "");
    this.draw();
    this.tabulate();
  }

  scales() {
    const { series, levels } = this.panel;
    const xs = series.flatMap(({ points }) => points.map(([x]) => x));
    const values = [...series.flatMap(({ points }) => points.flatMap(([, y, half]) => (half ? [y - half, y + half] : [y]))), ...Object.values(levels)];
    const logarithmic = values.every((value) => value > 0) && Math.max(...values) / Math.min(...values) > 3;
    let [low, high] = [Math.min(...values), Math.max(...values)];
    if (logarithmic) { low /= 1.15; high *= 1.15; } else { const pad = (high - low || Math.abs(high) || 1) * 0.06; low -= pad; high += pad; }
    const [from, to] = [Math.min(...xs), Math.max(...xs)];
    const wide = this.width - LEFT - RIGHT, tall = HEIGHT - TOP - BOTTOM, of = logarithmic ? Math.log : (value) => value;
    return {
      logarithmic, low, high, from, to,
      x: (value) => LEFT + (to > from ? (value - from) / (to - from) : 0.5) * wide,
      y: (value) => TOP + (1 - (of(value) - of(low)) / (of(high) - of(low))) * tall,
    };
  }

  draw() {
    this.width = Math.max(this.drawing.clientWidth, 240);
    const { series, levels, x: along } = this.panel, scale = this.scales();
    const drawing = svg("svg", { width: this.width, height: HEIGHT, viewBox: `0 0 ${this.width} ${HEIGHT}`, role: "img", tabindex: "0", "aria-label": `${this.summary()} Arrow keys read points.` });
    const bottom = HEIGHT - BOTTOM;
    for (const value of scale.logarithmic ? logTicks(scale.low, scale.high) : ticks(scale.low, scale.high, 5)) {
      drawing.append(svg("line", { class: "rule", x1: LEFT, x2: this.width - RIGHT, y1: scale.y(value), y2: scale.y(value) }), svg("text", { class: "tick", x: LEFT - 6, y: scale.y(value) + 4, "text-anchor": "end" }, short(value)));
    }
    for (const value of ticks(scale.from, scale.to, Math.max(Math.floor(this.width / 110), 2)).filter(Number.isInteger)) drawing.append(svg("text", { class: "tick", x: scale.x(value), y: bottom + 16, "text-anchor": "middle" }, short(value)));
    drawing.append(svg("text", { class: "tick", x: this.width - RIGHT, y: HEIGHT - 3, "text-anchor": "end" }, along), svg("line", { class: "axis", x1: LEFT, x2: this.width - RIGHT, y1: bottom, y2: bottom }));
    this.drawLevels(drawing, scale, levels);
    series.forEach(({ points, published }, number) => {
      const colour = `c${number % 6}`;
      for (const [x, y, half] of points) if (half) drawing.append(svg("line", { class: `whisker ${colour}`, x1: scale.x(x), x2: scale.x(x), y1: scale.y(y - half), y2: scale.y(y + half) }));
      if (!published) drawing.append(svg("polyline", { class: `curve ${colour} d${number % 4}`, points: points.map(([x, y]) => `${scale.x(x).toFixed(1)},${scale.y(y).toFixed(1)}`).join(" ") }));
      if (published || points.length <= 40) for (const [x, y] of points) drawing.append(mark(MARKS[number % 4], scale.x(x), scale.y(y), published ? 4.5 : 3, colour));
    });
    this.pointer = svg("g");
    drawing.append(this.pointer);
    this.stops = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].sort((one, other) => one - other);
    drawing.addEventListener("pointermove", (event) => {
      const x = event.clientX - drawing.getBoundingClientRect().left;
      this.point(this.stops.reduce((best, stop) => (Math.abs(scale.x(stop) - x) < Math.abs(scale.x(best) - x) ? stop : best), this.stops[0]), scale);
    });
    drawing.addEventListener("pointerleave", () => this.point(null, scale));
    drawing.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const here = this.at === null ? (step > 0 ? -1 : this.stops.length) : this.stops.indexOf(this.at);
      this.point(this.stops[Math.min(Math.max(here + step, 0), this.stops.length - 1)], scale);
    });
    redraw(this.drawing, drawing);
    if (this.at !== null && this.stops.includes(this.at)) this.point(this.at, scale); else this.point(null, scale);
    fill(this.legend, series.map(({ name, published }, number) => h("span", { class: "legend" }, this.key(number, published), name)));
  }

  key(number, published) {
    const colour = `c${number % 6}`;
    return svg("svg", { width: 26, height: 10, "aria-hidden": "true" }, published ? "" : svg("line", { class: `curve ${colour} d${number % 4}`, x1: 0, x2: 26, y1: 5, y2: 5 }), mark(MARKS[number % 4], 13, 5, 3, colour));
  }

  // What others published: dashed lines, named at the right; names of close ones are moved apart.
  drawLevels(drawing, scale, levels) {
    let lowest = Infinity;
    for (const [name, value] of Object.entries(levels).sort(([, one], [, other]) => one - other)) {
      const y = scale.y(value);
      lowest = Math.min(y - 3, lowest - 12);
      drawing.append(svg("line", { class: "level", x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y }), svg("text", { class: "level-name", x: this.width - RIGHT, y: Math.max(lowest, 9), "text-anchor": "end" }, `${name}: ${short(value)}`));
    }
  }

  pointOf(series, x) { return series.points.find(([other]) => other === x); }

  point(x, scale) {
    this.at = x;
    if (x === null) { fill(this.pointer); this.told.textContent = this.summary(); return; }
    const { series, x: along } = this.panel, found = series.map((each) => [each.name, this.pointOf(each, x)]).filter(([, point]) => point);
    fill(this.pointer, svg("line", { class: "pointer", x1: scale.x(x), x2: scale.x(x), y1: TOP, y2: HEIGHT - BOTTOM }), found.map(([, [, y]]) => svg("circle", { class: "pointer", cx: scale.x(x), cy: scale.y(y), r: 5 })));
    this.told.textContent = `${along} ${short(x)}: ${found.map(([name, [, y, half]]) => `${name} ${short(y)}${half ? ` ± ${short(half)}` : ""}`).join("; ")}`;
  }

  summary() {
    const own = this.panel.series.filter(({ published }) => !published);
    return own.map(({ name, points }) => `${name}: ${short(points.at(-1)[1])} at last, ${short(Math.min(...points.map(([, y]) => y)))} at least`).join("; ") + ".";
  }

  tabulate() {
    if (!this.details.open) return;
    const { series, levels, x: along } = this.panel;
    fill(this.table, h("table", {}, h("caption", { class: "sr-only" }, this.panel.title),
      h("thead", {}, h("tr", {}, [along, ...series.map(({ name }) => name)].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, [...this.stops].reverse().map((x) => h("tr", {}, h("th", { scope: "row" }, short(x)), series.map((each) => { const point = this.pointOf(each, x); return h("td", {}, point ? `${short(point[1])}${point[2] ? ` ± ${short(point[2])}` : ""}` : ""); }))),
        Object.entries(levels).map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, "published"), h("td", { colSpan: Math.max(series.length, 1) }, `${name}: ${short(value)}`))))));
  }
}
