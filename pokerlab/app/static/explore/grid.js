// The 13 × 13 grid of hands. Cells are painted, not rebuilt: a redraw is 169 backgrounds and labels.

import { h } from "../dom.js";
import { CELL_NAMES } from "../cards.js";

// Fold, check and call, and bets from small to large: told apart by lightness too, for eyes that do not see all colours.
const BETS = ["var(--bet1)", "var(--bet2)", "var(--bet3)", "var(--bet4)", "var(--bet5)"];
export function colours(options) {
  const bets = options.filter(({ kind }) => kind === "bet" || kind === "raise");
  return options.map((option) => {
    if (option.kind === "fold") return "var(--fold)";
    if (option.kind === "check" || option.kind === "call") return "var(--call)";
    if (option.kind === "all-in") return "var(--allin)";
    const place = bets.indexOf(option);
    return BETS[bets.length === 1 ? 2 : Math.round((place * (BETS.length - 1)) / (bets.length - 1))];
  });
}

export class Grid {
  // label: of the whole grid; pick(cell, event): a cell was chosen; drag(cell): the pointer went over one while down.
  constructor(label, { pick, drag, small = false } = {}) {
    this.cells = CELL_NAMES.map((name, cell) => {
      const element = h("div", { class: "cell", role: "gridcell", tabindex: cell ? "-1" : "0", "data-cell": String(cell) },
        h("span", { class: "cell-name" }, name), h("span", { class: "cell-value" }));
      return element;
    });
    this.element = h("div", { class: small ? "grid small" : "grid", role: "grid", "aria-label": label, "aria-rowcount": "13", "aria-colcount": "13" },
      Array.from({ length: 13 }, (_, row) => h("div", { role: "row", class: "grid-row" }, this.cells.slice(13 * row, 13 * row + 13))));
    const cellOf = (event) => { const found = event.target.closest?.("[data-cell]"); return found ? Number(found.dataset.cell) : -1; };
    let down = false;
    this.element.addEventListener("pointerdown", (event) => {
      const cell = cellOf(event);
      if (cell < 0) return;
      down = true;
      if (event.target.hasPointerCapture?.(event.pointerId)) event.target.releasePointerCapture(event.pointerId);
      this.focus(cell);
      pick?.(cell, event);
    });
    addEventListener("pointerup", () => { down = false; });
    this.element.addEventListener("pointermove", (event) => {
      if (!down || !drag) return;
      const under = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-cell]");
      if (under && this.element.contains(under)) drag(Number(under.dataset.cell), event);
    });
    this.element.addEventListener("keydown", (event) => {
      const cell = cellOf(event), step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -13, ArrowDown: 13 }[event.key];
      if (cell < 0) return;
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick?.(cell, event); return; }
      if (!step) return;
      event.preventDefault();
      const column = cell % 13;
      if ((step === -1 && column === 0) || (step === 1 && column === 12)) return;
      if (cell + step >= 0 && cell + step < 169) this.focus(cell + step);
    });
  }

  focus(cell) {
    this.cells.forEach((element, other) => { element.tabIndex = other === cell ? 0 : -1; });
    this.cells[cell].focus({ preventScroll: true });
  }

  select(cell) {
    this.cells.forEach((element, other) => element.setAttribute("aria-selected", String(other === cell)));
  }

  // cells: for each { parts: [[share of the width, colour], …], height: 0..1, value, label }.
  paint(cells) {
    cells.forEach(({ parts, height, value, label }, cell) => {
      const element = this.cells[cell];
      let at = 0;
      const stops = parts.map(([share, colour]) => {
        const from = at; at += 100 * share;
        return `${colour} ${from.toFixed(2)}% ${at.toFixed(2)}%`;
      });
      element.style.backgroundImage = stops.length ? `linear-gradient(90deg, ${stops.join(", ")})` : "none";
      element.style.backgroundSize = `100% ${(100 * height).toFixed(1)}%`;
      element.classList.toggle("empty", !stops.length);
      element.lastChild.textContent = value ?? "";
      element.setAttribute("aria-label", label);
    });
  }
}
