// Where one stands in the tree: the line so far, what can follow, and the cards to come.

import { h, fill, percent, number } from "../dom.js";
import { RANKS, SYMBOLS } from "../cards.js";
import { colours } from "./grid.js";
import { stacks } from "./state.js";

const PLAYERS = ["OOP", "IP"];
const card = (name) => h("span", { class: `card flat suit-${name[1]}` }, name[0], h("span", { "aria-hidden": "true" }, SYMBOLS[name[1]]));

// Lines may be written with bars or without.
const words = (line) => line.replaceAll("|", " ").split(" ").filter(Boolean).join(" ");
const leadsTo = (line, played) => played && `${words(played)} `.startsWith(`${words(line)} `);

// What one has beyond the other's stack.
export function beyond(stack) {
  const [first, second] = [stacks(stack)].flat();
  if (!(first !== second && Number.isFinite(first) && Number.isFinite(second))) return "";
  return `${number(Math.abs(first - second), 0)} of ${PLAYERS[first > second ? 0 : 1]} never in play`;
}

export class Tree {
  constructor(go) {
    this.go = go;
    this.element = h("nav", { class: "tree", "aria-label": "Line of play" });
  }

  // played: the line of a recorded hand, which is marked; stack: what the form says.
  show(node, { played, stack }) {
    this.played = played;
    const steps = node.path.map((step) => {
      const colour = colours(step.options);
      return h("div", { class: "step" },
        h("button", { type: "button", class: "step-head quiet", onclick: () => this.go(step.line) }, step.actor === 2 ? "Deal" : PLAYERS[step.actor]),
        step.actor === 2 ? h("button", { type: "button", class: "step-option taken", onclick: () => this.go(step.line) }, step.taken.match(/../g).map(card))
          : step.options.map((option, at) => this.option(option, colour[at], null, option.word === step.taken)));
    });
    const colour = colours(node.options);
    const here = h("div", { class: "step here", "aria-current": "step" },
      h("span", { class: "step-head" }, node.actor === 2 ? "Deal" : node.actor === 3 ? "End" : PLAYERS[node.actor]),
      node.valued ? h("span", { class: "muted" }, "A network values what comes") : node.actor === 2 ? h("div", { class: "deal" }, node.options.map((option) => {
        const was = leadsTo(option.line, played);
        const button = h("button", { type: "button", class: `card suit-${option.word[1]}${was ? " played" : ""}`, "aria-label": `Deal ${option.word}${was ? ", as played" : ""}`, onclick: () => this.go(option.line) },
          option.word[0], h("span", { "aria-hidden": "true" }, SYMBOLS[option.word[1]]));
        button.style.gridColumn = String(13 - RANKS.indexOf(option.word[0]));
        button.style.gridRow = String(1 + "shdc".indexOf(option.word[1]));
        return button;
      }))
        : node.actor === 3 ? h("span", { class: "muted" }, "The hand is over")
          : node.options.map((option, at) => this.option(option, colour[at], node.frequencies[at], false)));
    fill(this.element, h("div", { class: "step board-step" }, h("span", { class: "step-head" }, `Pot ${number(node.pot, node.pot % 1 ? 2 : 0)}`),
      h("span", { class: "cards" }, node.board.map(card)), h("span", { class: "muted" }, `Stack ${number(Math.min(...node.stacks), 0)}`),
      h("span", { class: "muted" }, beyond(stack))), steps, here);
    here.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  option(option, colour, frequency, taken) {
    const swatch = h("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = colour;
    return h("button", { type: "button", class: taken ? "step-option taken" : "step-option", "data-line": option.line, onclick: () => this.go(option.line) },
      swatch, leadsTo(option.line, this.played) ? h("span", { class: "played", title: "as played", role: "img", "aria-label": "as played" }, "★") : "", h("span", {}, option.label, option.size ? h("span", { class: "muted" }, ` ${number(100 * option.size, 0)} %`) : ""),
      frequency === null || frequency === undefined ? "" : h("span", { class: "share" }, percent(frequency)));
  }
}
