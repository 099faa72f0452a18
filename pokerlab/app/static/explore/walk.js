// Recorded hands: a file is opened, a decision of a hand chosen, and its spot set up in the form.

import { h, fill, dialog, number } from "../dom.js";
import { get, post, upload } from "../api.js";
import { SYMBOLS } from "../cards.js";

const API = "/api/explore/hands", PLAYERS = ["OOP", "IP"];
export const HAND_FILE = /\.(phhs?|log|txt)$/i;
export const MOST_HANDS = 64 * 2 ** 20;

const cards = (text) => (text.match(/../g) ?? []).map((name) => h("span", { class: `suit-${name[1]}` }, name[0], SYMBOLS[name[1]] ?? name[1]));

// setup(): what the form says; done(found): the spot of the decision that was chosen.
export async function chooseDecision(file, setup, done) {
  const name = file.name, query = `name=${encodeURIComponent(name)}`;
  let found = await upload(`${API}?${query}`, file);
  const { id } = found, all = [];
  const trouble = h("p", { class: "error", role: "alert" }), list = h("ul", { class: "recorded", "aria-label": "Hands" }), detail = h("div", { class: "stack", "aria-live": "polite" });
  const more = h("button", { type: "button", onclick: async () => {
    try { found = await get(`${API}/${id}?${query}&first=${all.length}`); add(); } catch (error) { trouble.textContent = error.message; }
  } }, "More hands");
  const take = async (hand, spot, move) => {
    try {
      const chosen = { at: hand.at, street: spot.street, move };
      done(await post(`${API}/${id}/walk`, { name, chosen, setup: setup() }));
      box.close();
    } catch (error) { trouble.textContent = error.message; }
  };
  const show = (hand, button) => {
    list.querySelectorAll("button").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    trouble.textContent = "";
    fill(detail, hand.players.map((who, at) => h("p", {}, h("strong", {}, PLAYERS[at]), ` ${who} `, hand.held[at] ? cards(hand.held[at]) : h("span", { class: "muted" }, "not shown"))),
      h("p", { class: "muted" }, "Choose a decision. The tree begins on the street of its row: the later, the sooner it is solved."),
      hand.spots.map((spot) => h("div", { class: "stack", role: "group", "aria-label": `From the ${spot.street}` },
        h("h3", {}, `From the ${spot.street} `, cards(spot.board), h("span", { class: "muted" }, ` pot ${number(spot.pot, spot.pot % 1 ? 2 : 0)}, stacks ${number(spot.stack, spot.stack % 1 ? 2 : 0)}`)),
        h("div", { class: "moves" }, hand.moves.slice(spot.first).map((move, at) => (move.actor === 2 ? h("span", { class: "hand" }, cards(move.label))
          : h("button", { type: "button", onclick: () => take(hand, spot, spot.first + at) }, h("span", { class: "muted" }, `${PLAYERS[move.actor]} `), move.label)))))));
  };
  const add = () => {
    all.push(...found.hands);
    list.append(...found.hands.map((hand) => {
      const seen = hand.spots.length ? `from the ${hand.spots[0].street}` : "not played by two after the flop";
      const button = h("button", { type: "button", class: "quiet", disabled: !hand.spots.length, "aria-pressed": "false", onclick: () => show(hand, button) },
        h("strong", {}, `Hand ${hand.number}`), h("span", {}, hand.players.join(", ")), h("span", { class: "muted" }, seen));
      return h("li", {}, button);
    }));
    more.hidden = !found.more;
    trouble.textContent = found.error;
  };
  const box = dialog(name, h("div", { class: "hand-chooser" }, h("div", { class: "stack" }, list, more), h("div", { class: "stack" }, trouble, detail)),
    [h("button", { type: "button", onclick: () => box.close() }, "Cancel")]);
  add();
  const first = list.querySelector("button:not(:disabled)");
  if (first) first.click(); else fill(detail, h("p", {}, "None of these hands was played by two on the flop or later."));
}
