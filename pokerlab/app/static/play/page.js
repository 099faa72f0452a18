// Play: hands against an agent, and what each decision was worth when a hand is over.

import { h, fill, announce, number, percent } from "../dom.js";
import { get, post } from "../api.js";
import { CELL_OF, CELL_NAMES, SYMBOLS } from "../cards.js";
import { Grid } from "../explore/grid.js";

const AT = "/api/play", CARD = /^[2-9TJQKA][cdhs]$/;
const WAYS = { search_average: "search", search_iteration: "search, drawn iterations", search_gadget: "search with a gadget", policy_net: "policy network alone", snapshots: "snapshots" };

// What one has to know of games that few people have played.
const RULES = {
  kuhn: "Three cards: J, Q, K. Both put in 1 and get a card; one may bet 1. The higher card wins.",
  leduc: "Six cards: J, Q, K of two suits. Both put in 1 and get a card; bets and raises are of 2 at first, and of 4 once a card lies on the board, two of them a round. A pair with the board wins, else the higher card.",
  liars_dice: "Everybody sees own dice only. Bids are how many dice of all show a face, the highest face being wild; each bid is higher than the last, until one calls it a lie: who was wrong loses 1.",
};
const rulesOf = (game) => Object.entries(RULES).find(([name]) => game.startsWith(name))?.[1] ?? "";

const card = (name) => h("span", { class: `card flat suit-${name[1]}`, "aria-label": name }, name[0], h("span", { "aria-hidden": "true" }, SYMBOLS[name[1]]));
const cardsOf = (text) => { const found = text.match(/.{2}/g) ?? []; return found.length && found.every((name) => CARD.test(name)) ? found.map(card) : [text]; };
const chips = (value) => (value === null || value === undefined ? "–" : `${value > 0 ? "+" : ""}${number(value, Math.abs(value) < 100 ? 2 : 0)}`);
const interval = (of) => (of ? `${chips(of[0])}${of[1] === null ? "" : ` ± ${number(of[1], of[1] < 100 ? 2 : 0)}`}` : "–");

class Page {
  constructor(main) {
    this.opponent = h("select", { "aria-label": "Opponent", onchange: () => this.choose() });
    this.way = h("select", { "aria-label": "How it plays" }, Object.entries(WAYS).map(([value, label]) => h("option", { value }, label)));
    this.game = h("select", { "aria-label": "Game" });
    this.iterations = h("input", { inputMode: "numeric", placeholder: "its own", "aria-label": "Search iterations" });
    this.seed = h("input", { inputMode: "numeric", value: "1", "aria-label": "Seed" });
    this.wayField = this.field("It plays by", this.way); this.iterationsField = this.field("Iterations a subgame", this.iterations);
    this.gameField = this.field("Game", this.game);
    this.error = h("p", { class: "error", role: "alert" });
    this.begin = h("button", { type: "submit", class: "primary big" }, "Deal");
    this.totals = h("div", { class: "stack" });
    this.table = h("section", { class: "panel stack", "aria-label": "The hand", hidden: true });
    this.told = h("section", { class: "panel stack", "aria-label": "What the hand was worth", hidden: true });
    const form = h("form", { class: "panel setup", onsubmit: (event) => { event.preventDefault(); this.start(); } },
      h("h2", {}, "Play an agent"), this.field("Opponent", this.opponent), this.gameField, this.wayField, this.iterationsField, this.field("Seed of the cards", this.seed), this.error, this.begin);
    this.page = h("div", { class: "explore" }, h("aside", { class: "stack" }, form, this.totals), h("div", { class: "stage" }, this.table, this.told));
    fill(main, this.page);
    addEventListener("keydown", (event) => {
      if (event.target.closest("input, select, textarea, dialog") || !main.contains(this.table) || event.ctrlKey || event.metaKey || event.altKey) return;
      const buttons = [...this.table.querySelectorAll("button[data-key]")], found = buttons.find(({ dataset }) => dataset.key === event.key);
      if (found && !found.disabled) { event.preventDefault(); found.click(); }
    });
    this.load();
  }

  field(label, input) { return h("label", { class: "field" }, h("span", {}, label), input); }

  async load() {
    try {
      const found = await get(`${AT}/choices`);
      fill(this.opponent,
        h("optgroup", { label: "Trained agents" }, found.runs.map(({ name, game }) => h("option", { value: `run:${name}` }, `${name} (${game})`))),
        found.leagues.length ? h("optgroup", { label: "Leagues' mixtures" }, found.leagues.map((name) => h("option", { value: `league:${name}` }, name))) : "",
        h("optgroup", { label: "Simple ones" }, found.agents.map((name) => h("option", { value: `agent:${name}` }, name))));
      fill(this.game, found.games.map((name) => h("option", { value: name }, name)));
      this.game.value = "leduc";
      if (found.runs.some(({ name }) => name === "leduc")) this.opponent.value = "run:leduc";
      this.choose();
      const session = new URLSearchParams(location.hash.split("?")[1] ?? "").get("session");
      if (session) { this.session = session; await this.show(await get(`${AT}/sessions/${session}`)); }
    } catch (error) { this.fail(error); }
  }

  choose() {
    const kind = this.opponent.value.split(":")[0];
    this.wayField.hidden = this.iterationsField.hidden = kind !== "run";
    this.gameField.hidden = kind !== "agent";
  }

  fail(error) { this.error.textContent = error.message; }

  // One request at a time; what may be pressed waits meanwhile.
  async ask(work) {
    this.error.textContent = "";
    const buttons = [...this.table.querySelectorAll("button"), this.begin];
    buttons.forEach((button) => { button.disabled = true; });
    this.table.setAttribute("aria-busy", "true");
    try { return await work(); } catch (error) { this.fail(error); return null; } finally {
      buttons.forEach((button) => { button.disabled = false; });
      this.table.removeAttribute("aria-busy");
    }
  }

  async start() {
    const [kind, name] = [this.opponent.value.split(":")[0], this.opponent.value.split(":").slice(1).join(":")];
    const setup = { run: { agent: `${name}:${this.way.value}` }, league: { agent: `league:${name}` }, agent: { agent: name, game: this.game.value } }[kind];
    const text = this.iterations.value.trim(), seed = this.seed.value.trim();
    if (kind === "run" && text) setup.iterations = /^\d+$/.test(text) ? Number(text) : text;
    if (seed) setup.seed = /^\d+$/.test(seed) ? Number(seed) : seed;
    const told = await this.ask(() => post(`${AT}/sessions`, setup));
    if (!told) return;
    this.session = told.id;
    history.replaceState(null, "", `#/play?session=${told.id}`);
    fill(this.totals);
    await this.show(told);
  }

  async act(action) {
    const told = await this.ask(() => post(`${AT}/sessions/${this.session}/act`, { action }));
    if (told) await this.show(told);
  }

  async deal() {
    const told = await this.ask(() => post(`${AT}/sessions/${this.session}/deal`));
    if (told) await this.show(told);
  }

  async show(hand) {
    const seats = hand.player === 0 ? ["you", "agent"] : ["agent", "you"];
    const held = (who) => (who === "you" ? h("span", { class: "cards" }, cardsOf(hand.hand)) : hand.over ? h("span", { class: "cards" }, cardsOf(hand.other)) : h("span", { class: "muted" }, "hidden"));
    const seat = (who, player) => h("div", { class: "row spread" }, h("strong", {}, who === "you" ? "You" : "Agent"), held(who),
      h("span", { class: "muted" }, hand.stacks ? `stack ${number(hand.stacks[player], 0)}${hand.bets[player] ? `, in front ${number(hand.bets[player], 0)}` : ""}` : `player ${player + 1}`));
    const calm = hand.legal.find((label) => ["check", "call", "pass"].includes(label)) ?? hand.legal[0];
    const action = (label, at) => h("button", { type: "button", class: label === calm ? "primary" : "", "data-key": String(at + 1), onclick: () => this.act(label) },
      label, hand.to && !/fold|check|call/.test(label) ? h("span", {}, ` to ${number(hand.to[at], 0)}`) : "", h("span", { class: "key", "aria-hidden": "true" }, String(at + 1)));
    fill(this.table,
      h("div", { class: "row spread" }, h("h2", {}, `Hand ${hand.number + 1}`), h("span", { class: "muted" }, `${hand.game}, pot ${number(hand.pot, 0)}`)),
      rulesOf(hand.game) ? h("p", { class: "muted" }, rulesOf(hand.game)) : "",
      hand.board ? h("div", { class: "cards", "aria-label": "Board" }, hand.board.length ? hand.board.map(card) : h("span", { class: "muted" }, "no board yet")) : "",
      seat(seats[0], 0), seat(seats[1], 1),
      h("ol", { class: "moves", "aria-label": "What was done" }, hand.moves.map(({ who, what }) => h("li", { class: who === "you" ? "mine" : "" },
        who ? `${who === "you" ? "You" : "Agent"}: ${what}` : h("span", { class: "cards" }, cardsOf(what))))),
      hand.over
        ? h("div", { class: "row" }, h("strong", {}, `You ${hand.won > 0 ? "win" : hand.won < 0 ? "lose" : "split:"} ${number(Math.abs(hand.won), Number.isInteger(hand.won) ? 0 : 2)}`),
          h("button", { type: "button", class: "primary", "data-key": "Enter", onclick: () => this.deal() }, "Next hand", h("span", { class: "key", "aria-hidden": "true" }, "↵")))
        : h("div", { class: "row", role: "group", "aria-label": "Your move" }, hand.legal.map(action)));
    this.table.hidden = false; this.holdem = Boolean(hand.board);
    this.page.classList.add("playing");
    announce(hand.over ? `The hand is over. You won ${number(hand.won, 2)} chips.` : `Your move: ${hand.legal.join(", ")}`);
    this.told.hidden = !hand.over;
    if (hand.totals) this.sum(hand.totals);
    if (hand.over) await this.review(hand);
  }

  async review(hand) {
    fill(this.told, h("h2", {}, "What it was worth"), h("p", { class: "muted" }, "Looking at the hand …"));
    const session = this.session;
    let found;
    try { found = await get(`${AT}/sessions/${session}/review`); } catch (error) { fill(this.told, h("h2", {}, "What it was worth"), h("p", { class: "error", role: "alert" }, error.message)); return; }
    if (session !== this.session) return;
    this.sum(found.totals);
    const names = [...new Set(found.decisions.flatMap(({ worth }) => Object.keys(worth)))];
    const row = (decision) => h("tr", {}, h("th", { scope: "row" }, decision.line || "first move"), h("td", {}, decision.action),
      h("td", { class: decision.lost > 0.02 * hand.big_blind ? "lost" : "" }, number(decision.lost, 2)),
      names.map((name) => h("td", {}, name in decision.worth ? `${number(decision.worth[name], 2)} (${percent(decision.frequencies[name], 0)})` : "")));
    const range = found.cells ? this.grid(found.cells) : h("p", { class: "row" }, found.range.map(([name, share]) => h("span", { class: "chip" }, h("span", { class: "cards" }, cardsOf(name)), ` ${percent(share, 0)}`)));
    fill(this.told, h("h2", {}, "What it was worth"),
      h("p", {}, `${found.without_luck === null ? "What it would be without luck cannot be told" : `Without luck you ${found.without_luck < 0 ? "lost" : "won"} ${number(Math.abs(found.without_luck), 2)} chips`}; your decisions lost ${number(found.decisions.reduce((sum, { lost }) => sum + lost, 0), 2)}.`),
      found.decisions.length ? h("div", { class: "table-box" }, h("table", {}, h("caption", { class: "sr-only" }, "Your decisions"), h("thead", {}, h("tr", {}, ["where", "you did", "lost", ...names].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, found.decisions.map(row)))) : "",
      h("p", { class: "muted" }, `Chips that each action was worth with your hand, and how often the agent takes it.${found.left_out ? ` ${found.left_out} of your decisions cannot be valued: the agent does not search.` : ""}`),
      h("h3", {}, "What the agent is likely to have had"), range);
  }

  grid(weights) {
    const cells = new Array(169).fill(0);
    weights.forEach((weight, hand) => { cells[CELL_OF[hand]] += weight; });
    const most = Math.max(...cells), grid = new Grid("The agent's range");
    grid.paint(cells.map((share, cell) => ({ parts: share > 1e-5 ? [[1, "var(--range)"]] : [], height: most ? Math.max(share / most, share > 1e-5 ? 0.06 : 0) : 0, value: share > 0.005 ? percent(share, 0).replace(" %", "") : "", label: `${CELL_NAMES[cell]}: ${percent(share)}` })));
    return grid.element;
  }

  sum(totals) {
    fill(this.totals, totals.hands ? h("section", { class: "panel", "aria-label": "The session" }, h("h2", {}, "Session"), h("table", {}, h("tbody", {},
      [["hands", number(totals.hands, 0)], ["won a hand", interval(totals.won)], ["without luck", interval(totals.without_luck)], ["lost by decisions", number(totals.lost, 2)], ["lost by decisions, in all", number(totals.lost * totals.hands, 2)]].map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value))))),
      h("p", { class: "muted" }, "Chips a hand, with 95 % intervals; the last line is of all hands."), this.holdem ? h("a", { class: "button", href: `${AT}/sessions/${this.session}/histories`, download: "hands.phhs" }, "Save the hands (PHH)") : "") : "");
  }
}

export function mount(main) { new Page(main); }
