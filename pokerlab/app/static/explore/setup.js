// The form of a spot: board, ranges, chips, bets; counted while it is filled in.

import { h, fill, later, bytes, number } from "../dom.js";
import { get, post } from "../api.js";
import { CARDS, RANKS, SUITS, SYMBOLS, SUIT_NAMES, readBoard } from "../cards.js";
import { Grid } from "./grid.js";
import { beyond } from "./tree.js";
import { cellsOf, editRange, readRange } from "./ranges.js";
import { STREETS, toSetup, locksOf, usesNetwork } from "./state.js";

const EXAMPLES = { "Random flop": 3, "Random turn": 4, "Random river": 5 };

export class Setup {
  // state: the page's; changed(): something of the spot was; solve(): is wanted.
  constructor(state, { changed, solve, open, report }) {
    this.state = state;
    this.changed = () => { changed(); this.check(); };
    this.fields = {};
    this.size = h("p", { class: "size", role: "status" });
    this.button = h("button", { type: "button", class: "primary big", id: "solve", onclick: solve }, "Solve");
    this.locks = h("div", { class: "locks" });
    const file = h("input", { type: "file", class: "sr-only", "aria-label": "Open a solved spot, or recorded hands", id: "file" });
    file.addEventListener("change", () => { if (file.files[0]) open(file.files[0]); file.value = ""; });
    this.element = h("section", { class: "setup panel", "aria-label": "Spot" },
      this.board(),
      h("div", { class: "two" }, this.range(0), this.range(1)),
      h("div", { class: "three" }, this.field("pot", "Pot"), this.field("stack", "Stacks, or OOP/IP", "300, or 300/450"), this.field("least", "Least bet")),
      this.bets(), this.locks,
      this.leaf(),
      h("div", { class: "solve-row" }, this.target = this.field("target", "Exploitability, % of the pot"), this.iterations = this.field("iterations", "Iterations"), this.button),
      this.size,
      h("div", { class: "row" }, h("button", { type: "button", class: "quiet", id: "report", onclick: report }, "Report of many flops…"),
        h("button", { type: "button", class: "quiet", onclick: () => file.click() }, "Open a solved spot, or hands…"), file,
        h("span", { class: "muted" }, ".phh, .phhs, ACPC's .log, PokerStars' .txt")));
    this.check = later(() => this.count(), 200);
    this.show();
  }

  field(key, label, hint) {
    const input = h("input", { type: "text", value: this.state[key], autocomplete: "off", inputMode: "decimal", placeholder: hint ?? "", name: key });
    input.addEventListener("input", () => { this.state[key] = input.value; this.changed(); });
    this.fields[key] = input;
    return h("label", { class: "field" }, h("span", {}, label), input);
  }

  // What comes after the street: played to the end, or valued by a network.
  leaf() {
    const select = h("select", { name: "leaf" });
    select.addEventListener("change", () => { this.state.leaf = select.value; this.changed(); });
    this.fields.leaf = select;
    this.options([]);
    get("/api/explore/networks").then((runs) => this.options(runs)).catch(() => {});
    this.later = h("label", { class: "field" }, h("span", {}, "What comes after the street"), select);
    return this.later;
  }

  options(runs) {
    const { leaf } = this.state;
    fill(this.fields.leaf, h("option", { value: "" }, "played to the end, exactly"),
      [...new Set(leaf ? [...runs, leaf] : runs)].map((name) => h("option", { value: name }, `valued by ${name}`)));
    this.fields.leaf.value = leaf;
  }

  board() {
    this.cards = new Map();
    const rows = [...SUITS].reverse().map((suit) => h("div", { class: "card-row", role: "group", "aria-label": SUIT_NAMES[suit] },
      [...RANKS].reverse().map((rank) => {
        const card = CARDS.indexOf(rank + suit);
        const button = h("button", { type: "button", class: `card suit-${suit}`, "aria-label": `${rank} of ${SUIT_NAMES[suit]}`, "aria-pressed": "false",
          onclick: () => this.toggle(card) }, rank, h("span", { "aria-hidden": "true" }, SYMBOLS[suit]));
        this.cards.set(card, button);
        return button;
      })));
    const text = this.field("board", "Board", "such as Td9d6h");
    text.querySelector("input").inputMode = "text";
    const random = h("div", { class: "row" }, Object.entries(EXAMPLES).map(([name, count]) =>
      h("button", { type: "button", class: "quiet", onclick: () => this.setBoard(this.draw(count)) }, name)));
    return h("div", { class: "board" }, h("div", { class: "two" }, text, random), h("div", { class: "picker" }, rows));
  }

  draw(count) {
    const found = new Set();
    while (found.size < count) found.add(crypto.getRandomValues(new Uint32Array(1))[0] % 52);
    return [...found];
  }

  toggle(card) {
    const now = readBoard(this.state.board);
    const next = now.includes(card) ? now.filter((other) => other !== card) : now.length < 5 ? [...now, card] : now;
    this.setBoard(next);
  }

  setBoard(cards) {
    this.state.board = cards.map((card) => CARDS[card]).join("");
    this.fields.board.value = this.state.board;
    this.changed();
  }

  range(player) {
    const key = player ? "ip" : "oop", title = player ? "In position (IP)" : "Out of position (OOP)";
    const input = h("input", { type: "text", value: this.state[key], spellcheck: false, name: key, "aria-label": `Range of ${title}` });
    input.addEventListener("input", () => { this.state[key] = input.value; this.changed(); });
    this.fields[key] = input;
    const grid = new Grid(`Range of ${title}`, { small: true });
    grid.element.setAttribute("aria-hidden", "true");
    grid.cells.forEach((cell) => { cell.tabIndex = -1; });
    const edit = h("button", { type: "button", class: "range-button", "aria-label": `Edit the range of ${title}`,
      onclick: () => editRange(title, this.state[key], (text) => { this.state[key] = text; input.value = text; this.changed(); }) }, grid.element);
    (this.grids ||= []).push(grid);
    return h("div", { class: "field" }, h("span", {}, title), edit, input);
  }

  bets() {
    const label = (player) => (player ? "IP" : "OOP");
    this.streets = STREETS.map((name) => h("fieldset", { class: "street" }, h("legend", {}, name),
      [0, 1].map((player) => this.field(name[0] + player, label(player), player ? "as OOP" : "50,100/100"))));
    return h("details", { class: "bets", open: true }, h("summary", {}, "Bets ", h("span", { class: "muted" }, "in % of the pot: bets / raises")),
      this.streets,
      h("div", { class: "two" }, this.field("donk", "Bets into the aggressor", "as otherwise; none"), this.field("raises", "Bets and raises a street", "any number")),
      h("div", { class: "two" }, this.field("force", "All-in if it leaves, % of the pot", "0"), this.field("add", "All-in up to, % of the pot", "any size")));
  }

  // The fields show the state, after it was changed elsewhere.
  show() {
    if (![...this.fields.leaf.options].some(({ value }) => value === this.state.leaf)) this.fields.leaf.append(h("option", { value: this.state.leaf }, `valued by ${this.state.leaf}`));
    for (const [key, input] of Object.entries(this.fields)) if (input.value !== this.state[key]) input.value = this.state[key];
    this.count();
  }

  async count() {
    const cards = readBoard(this.state.board);
    this.cards.forEach((button, card) => button.setAttribute("aria-pressed", String(cards.includes(card))));
    this.streets.forEach((street, at) => { street.hidden = cards.length > at + 3; });
    const network = usesNetwork(this.state);
    this.later.hidden = cards.length === 5; this.target.hidden = network; this.iterations.hidden = !network;
    const locks = locksOf(this.state);
    fill(this.locks, locks.length ? [h("h3", {}, "Locked"), locks.map((lock, at) => h("p", { class: "row spread" },
      h("span", {}, `${lock.line || "start"}: ${lock.file ? "hand by hand, in the file alone" : lock.hands || "all hands"}`),
      h("button", { type: "button", class: "quiet", "aria-label": `Unlock ${lock.line || "start"}`, onclick: () => {
        this.state.locks = locks.length > 1 ? JSON.stringify(locks.filter((_, other) => other !== at)) : ""; this.changed();
      } }, "✕")))] : []);
    const number_ = (this.counting = (this.counting || 0) + 1);
    for (const [at, key] of ["oop", "ip"].entries()) {
      readRange(this.state[key]).then((weights) => { if (number_ === this.counting) this.grids[at].paint(cellsOf(weights)); }).catch(() => {});
    }
    if (cards.length < 3) {
      this.size.className = "size muted";
      this.size.textContent = `Choose a board of three to five cards: ${cards.length} so far`;
      this.button.disabled = true;
      return;
    }
    try {
      const found = await post("/api/explore/check", toSetup(this.state));
      if (number_ !== this.counting) return;
      this.size.className = found.refused ? "size error" : "size";
      this.size.textContent = found.refused ? `Too large: ${found.refused}`
        : `${number(found.states, 0)} public states, ${found.hands[0]} against ${found.hands[1]} hands, about ${bytes(found.bytes)}${beyond(this.state.stack) && `; ${beyond(this.state.stack)}`}`;
      this.button.disabled = Boolean(found.refused);
    } catch (error) {
      if (number_ !== this.counting) return;
      this.size.className = "size error";
      this.size.textContent = error.message;
      this.button.disabled = true;
    }
  }
}
