// The range editor: paint weights on the grid, or write them as text; presets, import and export.

import { h, dialog, later, announce, number } from "../dom.js";
import { post } from "../api.js";
import { CELL_NAMES, HANDS_IN, CELL_OF, SYMBOLS, handName } from "../cards.js";
import { Grid } from "./grid.js";

export const PRESETS = {
  "Any two cards": "uniform",
  "Button opens (about 45 %)": "22+,A2s+,K2s+,Q4s+,J6s+,T6s+,96s+,85s+,75s+,64s+,54s,A2o+,K8o+,Q9o+,J9o+,T8o+,98o",
  "Cutoff opens (about 27 %)": "22+,A2s+,K5s+,Q8s+,J8s+,T8s+,97s+,87s,76s,65s,A8o+,A5o,KTo+,QTo+,JTo",
  "Under the gun opens (about 15 %)": "66+,A2s+,KTs+,QTs+,JTs,T9s,ATo+,KQo",
  "Big blind calls a button open": "JJ-22,AJs-A2s,KJs-K2s,QTs-Q2s,J9s-J5s,T9s-T6s,96s+,85s+,74s+,64s+,53s+,AJo-A2o,KQo-K8o,Q9o+,J9o+,T8o+,98o",
  "Three-bets": "JJ+,AJs+,A5s-A3s,KQs,K5s,Q5s,AQo+,KJo:0.4",
  "Polarised": "TT+,AK,A5s-A2s,76s-54s",
};

export async function readRange(text) { return Float64Array.from((await post("/api/explore/range", { text })).weights); }

export function cellsOf(weights, possible) {
  return HANDS_IN.map((hands, cell) => {
    const open = possible ? hands.filter((hand) => possible(hand)) : hands;
    const mean = open.length ? open.reduce((sum, hand) => sum + weights[hand], 0) / open.length : 0;
    return { parts: mean > 0 ? [[1, "var(--range)"]] : [], height: mean, value: mean > 0 && mean < 0.995 ? String(Math.round(100 * mean)) : "",
      label: `${CELL_NAMES[cell]}: ${Math.round(100 * mean)} %` };
  });
}

export async function editRange(title, text, done) {
  let weights, brush = 1, erase = false;
  let changes = 0, written = true; // an answer to what has changed since is not taken
  const field = h("textarea", { rows: 3, spellcheck: false, "aria-label": "Range as text", value: text });
  const trouble = h("p", { class: "error", role: "alert" });
  const count = h("span", { class: "muted" });
  const single = h("div", { class: "combos", "aria-label": "Combinations of the chosen cell" });
  const draw = () => {
    grid.paint(cellsOf(weights));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    count.textContent = `${number(total, total % 1 ? 1 : 0)} of 1,326 combinations, ${number((100 * total) / 1326, 1)} %`;
  };
  const write = async (asked) => {
    try {
      const { text: found } = await post("/api/explore/range", { weights: [...weights] });
      if (asked === changes) { field.value = found; trouble.textContent = ""; written = true; }
    } catch (error) { if (asked === changes) trouble.textContent = error.message; }
  };
  const writeLater = later(write, 120);
  const ask = later(async (asked) => {
    try {
      const found = await readRange(field.value);
      if (asked === changes) { weights = found; trouble.textContent = ""; draw(); }
    } catch (error) { if (asked === changes) trouble.textContent = error.message; }
  }, 250);
  const read = () => { changes += 1; written = true; ask(changes); };
  const painted = () => { changes += 1; written = false; draw(); writeLater(changes); };
  const set = (hands, weight) => { hands.forEach((hand) => { weights[hand] = weight; }); painted(); };
  const showCombos = (cell) => {
    single.replaceChildren(...HANDS_IN[cell].map((hand) => {
      const name = handName(hand);
      return h("button", { type: "button", class: "chip", "aria-pressed": String(weights[hand] > 0),
        onclick: () => { set([hand], weights[hand] > 0 ? 0 : brush); showCombos(cell); } },
      `${name[0]}${SYMBOLS[name[1]]}${name[2]}${SYMBOLS[name[3]]}`, weights[hand] > 0 && weights[hand] < 1 ? ` ${Math.round(100 * weights[hand])} %` : "");
    }));
  };
  const grid = new Grid("Range: press a cell to add or remove it, drag to paint", {
    pick: (cell) => {
      erase = HANDS_IN[cell].every((hand) => Math.abs(weights[hand] - brush) < 1e-9);
      set(HANDS_IN[cell], erase ? 0 : brush); showCombos(cell);
    },
    drag: (cell) => set(HANDS_IN[cell], erase ? 0 : brush),
  });
  const level = h("output", {}, "100 %");
  const slider = h("input", { type: "range", min: 5, max: 100, step: 5, value: 100, "aria-label": "Weight to paint with",
    oninput: () => { brush = Number(slider.value) / 100; level.textContent = `${slider.value} %`; } });
  const preset = h("select", { "aria-label": "Preset" }, h("option", { value: "" }, "Presets…"),
    Object.keys(PRESETS).map((name) => h("option", { value: name }, name)));
  preset.addEventListener("change", () => { if (preset.value) { field.value = PRESETS[preset.value]; read(); preset.value = ""; } });
  field.addEventListener("input", read);
  const file = h("input", { type: "file", accept: ".txt,text/plain", class: "sr-only", "aria-label": "Import a range from a text file" });
  file.addEventListener("change", async () => {
    const [chosen] = file.files;
    if (!chosen) return;
    if (chosen.size > 1e5) { trouble.textContent = "this file is too large for a range"; return; }
    field.value = (await chosen.text()).trim(); read();
  });
  const editor = h("div", { class: "range-editor" },
    grid.element,
    h("div", { class: "stack" },
      h("label", { class: "field" }, h("span", {}, "Weight to paint ", level), slider), preset,
      h("div", { class: "row" },
        h("button", { type: "button", onclick: () => set([...CELL_OF.keys()], 0) }, "Clear"),
        h("button", { type: "button", onclick: () => { for (let hand = 0; hand < 1326; hand += 1) weights[hand] = weights[hand] > 0 ? 0 : 1; painted(); } }, "Invert"),
        h("button", { type: "button", onclick: () => file.click() }, "Import"),
        h("button", { type: "button", onclick: async () => { try { await navigator.clipboard.writeText(field.value); announce("Copied"); } catch { field.select(); } } }, "Copy")),
      file, field, trouble, count, single));
  const use = async () => {
    if (!written) await write(changes);
    if (written && box.open) { done(field.value.trim()); box.close(); }
  };
  editor.inert = true; // until the range is there
  const box = dialog(title, editor, [h("button", { type: "button", onclick: () => box.close() }, "Cancel"),
    h("button", { type: "button", class: "primary", onclick: use }, "Use this range")]);
  try { weights = await readRange(text); } catch (error) { weights = new Float64Array(1326); trouble.textContent = error.message; }
  draw();
  editor.inert = false;
}
