// Cards and hands, numbered as the server does: a card is rank · 4 + suit, deuces first, clubs diamonds hearts spades.

export const RANKS = "23456789TJQKA", SUITS = "cdhs";
export const SYMBOLS = { c: "♣", d: "♦", h: "♥", s: "♠" };
export const SUIT_NAMES = { c: "clubs", d: "diamonds", h: "hearts", s: "spades" };
export const CARDS = [...RANKS].flatMap((rank) => [...SUITS].map((suit) => rank + suit));
export const HANDS = [];
for (let low = 0; low < 52; low += 1) for (let high = low + 1; high < 52; high += 1) HANDS.push([low, high]);
export const handName = (hand) => CARDS[HANDS[hand][1]] + CARDS[HANDS[hand][0]];

// The cell of every hand, row · 13 + column, aces first: suited hands above the diagonal, offsuit ones below.
export const CELL_OF = HANDS.map(([low, high]) => {
  const below = 12 - (low >> 2), above = 12 - (high >> 2);
  return (low & 3) === (high & 3) ? above * 13 + below : below * 13 + above;
});
export const HANDS_IN = Array.from({ length: 169 }, () => []);
CELL_OF.forEach((cell, hand) => HANDS_IN[cell].push(hand));
export const CELL_NAMES = Array.from({ length: 169 }, (_, cell) => {
  const row = RANKS[12 - Math.floor(cell / 13)], column = RANKS[12 - (cell % 13)];
  if (row === column) return row + column;
  return Math.floor(cell / 13) < cell % 13 ? `${row}${column}s` : `${column}${row}o`;
});

export function readBoard(text) {
  const squeezed = (text || "").replace(/[\s,]/g, "").replace(/10/g, "T");
  const found = [];
  for (let at = 0; at + 1 < squeezed.length; at += 2) {
    const card = CARDS.indexOf(squeezed[at].toUpperCase() + squeezed[at + 1].toLowerCase());
    if (card >= 0 && !found.includes(card)) found.push(card);
  }
  return found;
}
