// What the address of the page says: the spot, where in its tree one stands, and what is shown.

import { readBoard } from "../cards.js";

export const STREETS = ["flop", "turn", "river"];
export const DEFAULTS = {
  board: "", oop: "QQ-22,AQs-A2s,K9s+,Q9s+,J9s+,T9s,98s,87s,76s,AJo+,KQo",
  ip: "JJ-22,AJs-A2s,K8s+,Q9s+,J8s+,T8s+,97s+,86s+,75s+,65s,ATo+,KJo+,QJo",
  pot: "100", stack: "300", least: "1", target: "0.5", leaf: "", iterations: "200", raises: "", donk: "", force: "", add: "",
  f0: "50/100", t0: "50,100/100", r0: "50,100/100", f1: "", t1: "", r1: "",
  locks: "", id: "", line: "", pin: "", player: "", view: "strategy", played: "", about: "", report: "",
};
const SPOT = ["board", "oop", "ip", "pot", "stack", "least", "target", "leaf", "iterations", "raises", "donk", "force", "add", "f0", "t0", "r0", "f1", "t1", "r1", "locks"];

export function readAddress() {
  const given = new URLSearchParams(location.hash.split("?").slice(1).join("?"));
  return Object.fromEntries(Object.entries(DEFAULTS).map(([key, value]) => [key, given.get(key) ?? value]));
}

export function writeAddress(state, { push = false } = {}) {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(DEFAULTS)) if (state[key] !== value) given.set(key, state[key]);
  const text = given.toString(), address = `#/explore${text ? `?${text}` : ""}`;
  if (address === location.hash) return;
  history[push ? "pushState" : "replaceState"](null, "", address);
}

export const sameSpot = (one, other) => SPOT.every((key) => one[key] === other[key]);

export const readNumber = (text) => {
  const squeezed = String(text).replace(/[\s,]/g, "");
  return squeezed !== "" && Number.isFinite(Number(squeezed)) ? Number(squeezed) : String(text);
};

const sizes = (text) => text.split(/[\s,;]+/).filter(Boolean).map((size) => {
  const value = readNumber(size.replace(/%$/, ""));
  return typeof value === "number" ? Math.round(value * 1e6) / 1e8 : size;
});
const share = (text) => { const found = sizes(text); return found.length === 1 ? found[0] : text; };
// One stack, or OOP's and IP's.
export const stacks = (text) => { const found = String(text).split("/").map(readNumber); return found.length === 1 ? found[0] : found; };
const street = (text) => { const [bets, raises = ""] = text.split("/"); return [sizes(bets), sizes(raises || bets)]; };

export function locksOf(state) { try { return JSON.parse(state.locks || "[]"); } catch { return []; } }

// On the river there is nothing left to be valued.
export const usesNetwork = (state) => state.leaf !== "" && readBoard(state.board).length < 5;

// What the server is asked to solve.
export function toSetup(state) {
  const bets = (player) => STREETS.map((name) => street(state[name[0] + player] || state[`${name[0]}0`]));
  const first = bets(0), setup = {
    board: state.board, pot: readNumber(state.pot), stack: stacks(state.stack), least_bet: readNumber(state.least),
    ranges: [state.oop, state.ip], bets: [first[0], ...first], target: readNumber(state.target),
  };
  if (STREETS.some((name) => state[`${name[0]}1`])) { const second = bets(1); setup.ip_bets = [second[0], ...second]; }
  if (state.donk.trim()) setup.donk_bets = state.donk.trim().toLowerCase() === "none" ? [] : sizes(state.donk);
  if (state.force.trim()) setup.force_all_in = share(state.force);
  if (state.add.trim()) setup.add_all_in = share(state.add);
  if (state.raises.trim()) setup.most_raises = readNumber(state.raises);
  if (usesNetwork(state)) Object.assign(setup, { leaf: state.leaf, iterations: readNumber(state.iterations) });
  if (state.locks) setup.locks = locksOf(state);
  return setup;
}

// The page's fields, from what a file says.
export function fromSetup(setup) {
  const text = (list) => list.map((size) => String(Math.round(size * 1e6) / 1e4)).join(",");
  const found = {
    board: setup.board, oop: setup.ranges[0], ip: setup.ranges[1], pot: String(setup.pot), stack: String(setup.stack),
    least: String(setup.least_bet), raises: setup.most_raises === undefined ? "" : String(setup.most_raises),
    force: setup.force_all_in ? text([setup.force_all_in]) : "", add: setup.add_all_in === undefined ? "" : text([setup.add_all_in]),
    donk: setup.donk_bets ? text(setup.donk_bets) || "none" : "", f1: "", t1: "", r1: "", leaf: "", played: "", about: "", locks: setup.locks?.length ? JSON.stringify(setup.locks) : "",
  };
  for (const [player, given] of [[0, setup.bets], [1, setup.ip_bets]]) {
    if (!given) continue;
    const byStreet = typeof given[0][0] === "number" || given[0].length === 0 ? [given] : given;
    STREETS.forEach((name, at) => {
      const rows = byStreet[Math.min(at + 1, byStreet.length - 1)];
      found[name[0] + player] = rows.slice(0, 2).map(text).join("/");
    });
  }
  return found;
}
