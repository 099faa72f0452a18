"""What the process of Play runs: sessions, each played again as far as it was if the process is new."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import yaml

from pokerlab.agents.base import DEALT, write_line
from pokerlab.agents.registry import POLICY_NET
from pokerlab.algorithms.rebel import ReBeL
from pokerlab.config.build import build
from pokerlab.config.command import compose
from pokerlab.evaluation.hand_histories import phh
from pokerlab.evaluation.lineup import name_of_run
from pokerlab.games import names
from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.league.folder import local_leagues
from pokerlab.league.view import open_league
from pokerlab.play import Hand, Review, Table
from pokerlab.store.folder import RunFolder, local_runs, shipped_runs
from pokerlab.training.stored_agents import agent_by_name
from pokerlab.training.trained import load_run

KEPT = 8
"""Sessions that are kept, the latest ones."""
MOST_SHOWN = 200
"""Hands of a range that the page is told of, the likeliest."""
GAMES = ("kuhn", "leduc", "liars_dice_1x4f", "river", "fhp", "hunl", "push_fold")
"""For agents that are no runs."""
LEAGUE = "league:"
BASELINES = ("equilibrium", "equity", "call", "uniform")
MOST_ITERATIONS = 5000
PERSON = "you"
WHOLE_DECK = 52


@dataclass
class _Session:
    table: Table
    hands: list[Hand]
    done: list[list[str]]
    """What the person did, hand by hand."""


_SESSIONS: OrderedDict[str, _Session] = OrderedDict()


def choices() -> dict[str, Any]:
    """Whom one can play."""
    runs = [{"name": name, "game": _game_of(folder)} for name, folder in sorted(_runs().items())]
    return {"runs": runs, "leagues": local_leagues(), "agents": list(BASELINES), "games": list(GAMES)}


def _runs() -> dict[str, RunFolder]:
    """Those that are here, and those of the package."""
    here = [run for run in local_runs() if any(run.checkpoints.glob("*.ckpt"))]
    return {**shipped_runs(), **{run.path.name: run for run in here}}


def _game_of(folder: RunFolder) -> str:
    """What a run learned to play, as its config says."""
    try:
        game = yaml.safe_load(folder.config.read_text())["game"]
        return str(game.get("name") or game["_target_"].rpartition(".")[2])
    except (OSError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return ""


@lru_cache(4)
def _run(name: str, iterations: int | None) -> Any:
    return load_run(name, torch.device("cpu"), search_iterations=iterations)


def _make(setup: Mapping[str, Any]) -> Table:
    agent, game, seed = str(setup.get("agent", "")), setup.get("game"), setup.get("seed", 1)
    iterations = setup.get("iterations")
    if iterations is not None and (type(iterations) is not int or not 1 <= iterations <= MOST_ITERATIONS):
        raise ValueError(f"iterations must be a whole number from 1 to {MOST_ITERATIONS:,}")
    if type(seed) is not int or not 0 <= seed < 2**31:
        raise ValueError("seed must be a whole number from 0 on")
    if agent.startswith(LEAGUE):
        if (name := agent.removeprefix(LEAGUE)) not in local_leagues():
            raise ValueError(f"no league {name!r} here")
        league = open_league(name)
        if not isinstance(league.game, Game):
            raise ValueError(f"{league.game.name} has more than two players")
        return Table(league.game, league.agent(), seed)
    meant = name_of_run(agent, POLICY_NET)
    if meant is not None:
        if meant[0] not in (known := _runs()):
            raise ValueError(f"no run {meant[0]!r} here: expected one of {', '.join(sorted(known))}")
        run = _run(meant[0], iterations)
        leaf = run.leaf_evaluator if isinstance(run.algorithm, ReBeL) else None
        return Table(run.game, run.agent(meant[1]), seed, leaf)
    if agent not in BASELINES or game not in GAMES:
        raise ValueError(
            f"expected one of {', '.join(BASELINES)} and of {', '.join(GAMES)}, got {agent}, {game}"
        )
    rules = _game(str(game))
    return Table(rules, agent_by_name(agent, rules), seed)


@lru_cache(8)
def _game(name: str) -> Game:
    config = compose("solve", [f"game={name}"])
    game: Game = build(config.game, key="game", kind=Game)
    return game


def _open(session: str, setup: Mapping[str, Any], done: Sequence[Sequence[str]]) -> _Session:
    """The session; played again as far as it was, if this process does not know it so."""
    known = _SESSIONS.pop(session, None)
    if known is None or known.done != [list(moves) for moves in done]:
        table, hands = _make(setup), list[Hand]()
        for moves in done:
            hands.append(table.deal())
            for move in moves:
                hands[-1].act(move)
        known = _Session(table, hands, [list(moves) for moves in done])
    _SESSIONS[session] = known
    while len(_SESSIONS) > KEPT:
        _SESSIONS.popitem(last=False)
    return known


def deal(session: str, setup: Mapping[str, Any], done: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The next hand, the first of a session too."""
    known = _open(session, setup, done)
    if known.hands and not known.hands[-1].over:
        raise ValueError("this hand is not over")
    known.hands.append(known.table.deal())
    known.done.append([])
    return _view(known)


def act(session: str, setup: Mapping[str, Any], done: Sequence[Sequence[str]], move: str) -> dict[str, Any]:
    """The person acts."""
    known = _open(session, setup, done)
    known.hands[-1].act(move)
    known.done[-1].append(move)
    return _view(known)


def view(session: str, setup: Mapping[str, Any], done: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The hand as it stands."""
    return _view(_open(session, setup, done))


def review(session: str, setup: Mapping[str, Any], done: Sequence[Sequence[str]]) -> dict[str, Any]:
    """What the last hand was worth."""
    known = _open(session, setup, done)
    hand, game = known.hands[-1], known.table.game
    found: Review = known.table.review(hand)
    likely = [int(of) for of in np.argsort(-found.range)[:MOST_SHOWN] if found.range[of] > 0]
    has_grid = isinstance(game, Holdem) and len(game.deck.cards) == WHOLE_DECK
    return {
        "won": found.won,
        "without_luck": found.without_luck,
        "left_out": found.left_out,
        "range": [[names.hand_name(game, of), float(found.range[of])] for of in likely],
        "cells": found.range.tolist() if has_grid else None,
        "decisions": [
            {
                "line": decision.line, "action": decision.action, "worth": decision.worth,
                "frequencies": decision.frequencies, "lost": decision.lost,
            }
            for decision in found.decisions
        ],
    }  # fmt: skip


def histories(session: str, setup: Mapping[str, Any], done: Sequence[Sequence[str]]) -> str:
    """The hands that are over, in PHH."""
    known = _open(session, setup, done)
    game = known.table.game
    if not isinstance(game, Holdem):
        raise ValueError(f"hand histories are of hold'em, and {game.name} is not that")
    over = [hand for hand in known.hands if hand.over]
    return "\n".join(
        f"[{number}]\n{phh(game, hand.played(str(setup['agent']), PERSON), number)}"
        for number, hand in enumerate(over, 1)
    )


def _view(known: _Session) -> dict[str, Any]:
    hand, game = known.hands[-1], known.table.game
    told: dict[str, Any] = {
        "game": game.name,
        "number": hand.number,
        "player": hand.player,
        "hand": names.hand_name(game, hand.hands[hand.player]),
        "line": write_line(game, hand.line),
        "moves": _moves(hand),
        "legal": list(hand.legal),
        "pot": game.pot(hand.state),
        "big_blind": game.big_blind,
        "over": hand.over,
    }
    if isinstance(game, Holdem):
        told |= _chips(game, hand)
    if hand.over:
        told |= {"won": hand.won, "other": names.hand_name(game, hand.hands[1 - hand.player])}
    return told


def _moves(hand: Hand) -> list[dict[str, Any]]:
    """Who did what, one after the other."""
    found, line = list[dict[str, Any]](), hand.line
    for before, move, after in zip(line.states, line.actions, line.states[1:], strict=False):
        actor = hand.game.actor(before)
        if move == DEALT:
            found.append({"who": None, "what": names.outcome_name(hand.game, before, after)})
            continue
        who = "you" if actor == hand.player else "agent"
        found.append({"who": who, "what": names.action_name(hand.game, before, move)})
    return found


def _chips(game: Holdem, hand: Hand[HoldemState]) -> dict[str, Any]:
    """The board, what is behind, and what each action would put in."""
    state = hand.end if hand.over else hand.state
    told: dict[str, Any] = {
        "board": [game.deck.cards[card] for card in state.board],
        "stacks": [hand.state.stack - chips for chips in hand.state.committed],
        "bets": list(hand.state.committed),
    }
    if not hand.over:
        after = [game.next_state(hand.state, action).committed for action in game.actions(hand.state)]
        told["to"] = [chips[hand.player] for chips in after]
    return told
