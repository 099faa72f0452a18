"""Texas hold'em, heads up, no-limit or with fixed limits: the whole game, or an endgame from any street on.

Player 1 has the button and the small blind: acts first before the flop and last after it, as in the ACPC's
and OpenSpiel's games. Bets are fractions of the pot, see :mod:`pokerlab.games.betting`. Both players have
the same stack: what one has beyond the other's cannot be lost.

Subgames are streets: they end where cards are about to be dealt. The deal is a subgame of its own, from
the public state before it to those after it, unless ``leaves`` says otherwise. Where both are all-in, the
game ends: its payoff is the average over all ways to deal the rest of the board.
"""

from pokerlab.games.holdem.hand_inputs import HoldemHandInputs
from pokerlab.games.holdem.names import HoldemNames
from pokerlab.games.holdem.starts import HoldemStarts
from pokerlab.games.holdem.state import HoldemState
from pokerlab.games.holdem.streets import HoldemStreets
from pokerlab.games.holdem.symmetry import HoldemSymmetry
from pokerlab.games.holdem.table import HoldemTable

__all__ = ["Holdem", "HoldemState"]


class Holdem(HoldemStreets, HoldemHandInputs, HoldemSymmetry, HoldemStarts, HoldemNames, HoldemTable):
    """Hold'em.

    Args:
        name: what to call it.
        board: cards at the root, such as ``Td9d6hQc``, or a list of them: on which street the game starts.
        pot: chips in the root's pot, half from each; 0, before the flop, with the blinds to be posted.
        stack: chips that each player has at the root, before blinds.
        blinds: small and big; the big blind is the least bet.
        small_blind: the player who posts it and acts first before the flop: 1, who acts last after it, or 0,
            as in games of more than two.
        bets: sizes as fractions of the pot after calling: a list for the first bet of a street, one for the
            first raise, …; the last for all that follow. Or such lists street by street, the last for all
            that follow. Going all-in is one more.
        ip_bets: the same for player 1, who is in position after the flop; None: as player 0's.
        donk_bets: sizes of player 0's first bet on a street where it leads into player 1, the last to bet or
            raise on the street before, besides all-in; none: it checks there; None: as otherwise.
        force_all_in: a bet or raise that leaves no more than this behind, as a fraction of the pot after a
            call, is all-in instead; 0: one that leaves nothing.
        add_all_in: all-in is offered where it is no more than so many times the pot after calling, and where
            a size comes to it; None: wherever one may raise.
        limit: chips of a bet or raise, street by street: fixed-limit hold'em. Then there are no other sizes
            and no all-ins: the stack must cover all bets. None: no limit.
        push_fold: whether one folds or goes all-in, before the flop.
        most_raises: bets and raises on a street, all-ins among them; the blinds are none; None: as many as
            the stack allows.
        ranges: each player's hands at the root, player 0's first, see :meth:`Deck.read_range`.
        ranks: of the deck, the lowest ones.
        suits: of the deck, the first ones.
        deals: how many cards are dealt before each street.
        jitter: in self-play, by how much of the pot at most each size of bets is moved at random, subgame by
            subgame.
        most_deals: in self-play, of so many ways to deal cards a value is made where there are more, drawn
            anew for each subgame; None: of all.
        leaves: where a subgame ends that comes to a deal of one card: ``before_deal``, where the network says
            what the deal is worth, or ``after_deal``, where it is asked about every card: slower, and nearer
            to the truth. Deals of several cards are always subgames of their own.
        solve_to_end: subgames of no more public states than this are solved to the end of the game, so that
            no network is needed below their roots; None: only those of the last street.
        isomorphism: whether :meth:`symmetry` tells of isomorphic suits.

    Raises:
        ValueError: an argument has a wrong value; the message begins with its name.
    """
