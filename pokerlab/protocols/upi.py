"""The Universal Poker Interface of solvers: text commands, as scripts for PioSOLVER send them.

A command is a line; its answer is one line or several, and then the string that ``set_end_string`` chose.
Spots are of hold'em from the flop on. Node ids are Pio's: ``r:0`` is the first decision, ``c`` a check or
call, ``f`` a fold, ``b150`` a bet or raise to all that its player has put in since the root, cards what was
dealt: ``r:0:c:b100:c:2s``. What is understood: :data:`COMMANDS`.
"""

import contextlib
import math
import shlex
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
import yaml

from pokerlab.games import names
from pokerlab.games.base import CHANCE, TERMINAL, Floats
from pokerlab.games.betting import CALL, FOLD
from pokerlab.games.cards import Deck
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.names import Move
from pokerlab.spot import Node, Spot, can_be_solved, open_spot, solve

PLAYERS = {"OOP": 0, "IP": 1}
STREETS = {3: "flop", 4: "turn", 5: "river"}
NO_EFFECT = ("set_always_recalc", "set_info_freq", "set_isomorphism", "set_recalc_accuracy")
"""Commands of scripts that there is nothing to do for."""
MOST_STEPS = 10**6
DIGITS = 6
"""Of the weights of ranges."""


class UpiError(ValueError):
    """What a command is answered with: ``ERROR: …``."""


class Engine:
    """Answers commands; solves beside them.

    Args:
        write: where answers go; whole ones, one at a time.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write, self._lock = write, threading.Lock()
        self._end = ""
        self._deck = Deck()
        self._board, self._pot, self._stack = "", (0.0, 0.0, 0.0), 0.0
        self._ranges: list[Floats | None] = [None, None]
        self._bets: Any = [[0.5, 1], [1]]
        self._accuracy = ("chips", 0.0)
        self._game: Holdem | None = None
        self._spot: Spot[HoldemState] | None = None
        self._worker: threading.Thread | None = None
        self._stop = threading.Event()

    def run(self, commands: TextIO) -> None:
        """Answers line after line, to the end or ``exit``."""
        for line in commands:
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            if text == "exit":
                break
            self._answer(text)
        self._stop.set()
        self._wait()

    def _answer(self, text: str) -> None:
        name, *arguments = text.split(maxsplit=1)
        try:
            command = COMMANDS.get(name)
            if command is None:
                raise UpiError(f"unknown command {name}")
            said = command(self, arguments[0] if arguments else "")
        except OSError as error:
            said = f"ERROR: {error.filename}: {error.strerror}"
        except (ValueError, yaml.YAMLError) as error:
            said = f"ERROR: {' '.join(str(error).split())}"
        self._say(f"{name} ok!" if said is None else said, self._end)
        if name == "go" and said is None:
            self._begin()

    def _say(self, text: str, end: str = "") -> None:
        with self._lock:
            self._write(f"{text}\n{end}\n" if end else f"{text}\n")

    # Settings

    def set_end_string(self, text: str) -> None:
        self._end = text.strip()

    def nothing(self, _: str) -> None:
        """For commands that there is nothing to do for, too."""

    def echo(self, text: str) -> str:
        return text

    def show_version(self, _: str) -> str:
        return version("pokerlab")

    def show_hand_order(self, _: str) -> str:
        return " ".join(map(self._deck.hand_name, range(self._deck.num_hands)))

    def set_threads(self, text: str) -> None:
        if number := _whole(text, "threads", 0, 1024):
            torch.set_num_threads(number)

    def set_accuracy(self, text: str) -> None:
        value, *kind = text.split()
        if kind not in ([], ["chips"], ["fraction"]):
            raise UpiError(f"accuracy is of chips or fraction, got {kind[0]}")
        self._accuracy = (kind[0] if kind else "chips", _number(value, "accuracy"))

    def set_board(self, text: str) -> None:
        cards = self._deck.read_cards(text)
        if len(cards) not in STREETS:
            raise UpiError(f"expected a board of 3, 4 or 5 cards, got {len(cards)}")
        self._board = self._deck.board_name(cards)

    def set_range(self, text: str) -> None:
        player, *weights = text.split()
        if player not in PLAYERS:
            raise UpiError(f"expected OOP or IP, got {player}")
        if len(weights) == self._deck.num_hands:
            found = np.array([_number(weight, "a weight") for weight in weights])
            if (found > 1).any() or not found.any():
                raise UpiError("weights must be from 0 to 1, and not all 0")
        else:
            found = self._deck.read_range("".join(weights))
        self._ranges[PLAYERS[player]] = found

    def set_pot(self, text: str) -> None:
        chips = [_number(part, "pot") for part in text.split()]
        if len(chips) != 3 or chips[0] != chips[1]:
            raise UpiError("expected set_pot OOP IP START, with as much from OOP as from IP")
        self._pot = (chips[0], chips[1], chips[2])

    def set_eff_stack(self, text: str) -> None:
        self._stack = _number(text, "stack")

    def show_effective_stack(self, _: str) -> str:
        return _chips(self._need_game().root().stack)

    def set_bets(self, text: str) -> None:
        """This package's own: sizes as ``game.bets``, such as ``[[0.5, 1], [1]]``."""
        self._bets = yaml.safe_load(text)

    # Trees

    def build_tree(self, _: str) -> None:
        self._idle()
        if not self._board:
            raise UpiError("set_board comes first")
        ranges = ["uniform" if of is None else self._deck.write_range(of, DIGITS) for of in self._ranges]
        pot = sum(self._pot)
        game = Holdem(
            STREETS[len(self._board) // 2], board=self._board, pot=pot, stack=self._stack, bets=self._bets,
            ranges=ranges, blinds=(0, min(1.0, pot / 100)),
        )  # fmt: skip
        if not can_be_solved(game):
            raise UpiError("the tree is too large")
        self._game, self._spot = game, None

    def is_tree_present(self, _: str) -> str:
        return "true" if self._game else "false"

    def free_tree(self, _: str) -> None:
        self._idle()
        self._game = self._spot = None

    def load_tree(self, text: str) -> None:
        self._idle()
        path, *_ = shlex.split(text)
        spot: Spot = open_spot(path)
        if not isinstance(spot.game, Holdem) or not spot.game.root().board:
            raise UpiError(f"{path} is no spot of hold'em from the flop on")
        self._game, self._spot = spot.game, spot
        self._deck = spot.game.deck

    def dump_tree(self, text: str) -> None:
        self._idle()
        path, *_ = shlex.split(text)
        self._need_spot().save(Path(path))

    # Solving

    def go(self, text: str) -> None:
        self._idle()
        self._need_game()
        self._most = MOST_STEPS, math.inf
        if text:
            number, *unit = text.split()
            if unit not in ([], ["seconds"], ["steps"]):
                raise UpiError(f"expected go N seconds or go N steps, got {unit[0]}")
            steps = unit == ["steps"]
            most = _number(number, "go")
            self._most = (max(int(most), 1), math.inf) if steps else (MOST_STEPS, most)
        self._stop.clear()

    def _begin(self) -> None:
        self._worker = threading.Thread(target=self._solve, daemon=True)
        self._say("SOLVER: started")
        self._worker.start()

    def _solve(self) -> None:
        game, (steps, seconds) = self._need_game(), self._most
        kind, accuracy = self._accuracy
        target = accuracy * 100 if kind == "fraction" else 100 * accuracy / game.pot(game.root())
        reason = "reached accuracy" if target else "reached steps"

        def watch(iterations: int, so_far: float) -> bool:
            return self._stop.is_set() or so_far >= seconds

        try:
            self._spot = solve(game, iterations=steps, target=target or None, watch=watch)
            if self._stop.is_set():
                reason = "requested"
            elif self._spot.progress.seconds >= seconds:
                reason = "reached time"
        except (ValueError, MemoryError, RuntimeError) as error:
            reason = f"error: {error}"
        self._say(f"SOLVER: stopped ({reason})")

    def stop(self, _: str) -> None:
        self._stop.set()
        self._wait()

    def wait_for_solver(self, _: str) -> None:
        self._wait()

    def _wait(self) -> None:
        if self._worker:
            self._worker.join()
            self._worker = None

    def _idle(self) -> None:
        if self._worker and self._worker.is_alive():
            raise UpiError("the solver is running: stop it first")

    def calc_results(self, _: str) -> str:
        spot = self._need_spot()
        first, second = spot.expected_values
        return (
            f"running time: {spot.progress.seconds:.3f}\nEV OOP: {first:.3f}\nEV IP: {second:.3f}\n"
            f"Exploitable for: {spot.exploitability:.3f}"
        )

    # Nodes

    def show_node(self, text: str) -> str:
        return self._describe(text.strip(), self._at(text.strip()))

    def show_children(self, text: str) -> str:
        moves = self._at(text.strip())
        above = "r:0" if text.strip() == "r" else text.strip()
        found = [
            f"child {number}:\n{self._describe(f'{above}:{name}', [*moves, move])}"
            for number, (name, move) in enumerate(self._children(moves).items())
        ]
        return "\n\n".join(found)

    def show_strategy(self, text: str) -> str:
        node = self._node(text)
        if node.actor >= CHANCE:
            raise UpiError(f"nobody acts at {text}")
        return "\n".join(map(_numbers, node.strategy))

    def show_range(self, text: str) -> str:
        player, *where = text.split()
        if player not in PLAYERS:
            raise UpiError(f"expected OOP or IP, got {player}")
        game = self._need_game()
        if not where:
            return _numbers(game.initial_beliefs[PLAYERS[player]])
        node = self._node(where[0])
        return _numbers(node.weight[PLAYERS[player]])

    def calc_ev(self, text: str) -> str:
        player, node = self._player_and_node(text)
        return f"{_numbers(node.ev[player])}\n{_numbers(node.met[player])}"

    def calc_eq_node(self, text: str) -> str:
        player, node = self._player_and_node(text)
        equity, total = node.equity, node.equities()
        assert equity is not None
        assert total is not None
        return f"{_numbers(equity[player])}\n{_numbers(node.met[player])}\n{total[player]:.6f}"

    def calc_global_freq(self, text: str) -> str:
        spot = self._need_spot()
        at, root = self._node(text), spot.node()
        joint = [float((node.weight[0] * node.met[0]).sum()) for node in (at, root)]
        return f"{joint[0] / joint[1]:.6f}"

    def _player_and_node(self, text: str) -> tuple[int, Node[HoldemState]]:
        player, *where = text.split()
        if player not in PLAYERS or len(where) != 1:
            raise UpiError("expected OOP or IP, and a node")
        return PLAYERS[player], self._node(where[0])

    def _node(self, text: str) -> Node[HoldemState]:
        return self._need_spot().node(names.write_line(self._need_game(), self._at(text.strip())))

    def _at(self, text: str) -> list[Move[HoldemState]]:
        """The moves that a node's id names."""
        first, *parts = text.split(":")
        if first != "r" or parts[:1] not in ([], ["0"]):
            raise UpiError(f"no node {text}: ids begin with r:0")
        moves = list[Move[HoldemState]]()
        for part in parts[1:]:
            children = self._children(moves)
            if part not in children:
                raise UpiError(f"no node {text}: {part} cannot come, expected one of {', '.join(children)}")
            moves.append(children[part])
        return moves

    def _children(self, moves: Sequence[Move[HoldemState]]) -> Mapping[str, Move[HoldemState]]:
        """What can come, by the last part of its id."""
        game = self._need_game()
        state = moves[-1].state if moves else game.root()
        actor = game.actor(state)
        if actor == TERMINAL:
            return {}
        found = {}
        if actor == CHANCE:
            for outcome in game.chance_outcomes(state):
                found[game.deck.board_name(outcome.board[len(state.board) :])] = Move(None, outcome)
        else:
            for action in game.actions(state):
                after = game.next_state(state, action)
                put_in = game.root().stack - after.stack + after.committed[actor]
                name = {FOLD: "f", CALL: "c"}.get(action, f"b{_chips(put_in)}")
                found[name] = Move(action, after)
        return found

    def _describe(self, text: str, moves: Sequence[Move[HoldemState]]) -> str:
        game = self._need_game()
        state = moves[-1].state if moves else game.root()
        actor = game.actor(state)
        kind = {0: "OOP_DEC", 1: "IP_DEC", CHANCE: "SPLIT_NODE", TERMINAL: "END_NODE"}[actor]
        board = " ".join(game.deck.cards[card] for card in state.board)
        before = game.root().stack - state.stack
        first, second = (_chips(before + chips) for chips in state.committed)
        return (
            f"{text}\n{kind}\n{board}\n{first} {second} {_chips(game.root().pot)}\n"
            f"{len(self._children(moves))} children\nflags:"
        )

    def _need_game(self) -> Holdem:
        if self._game is None:
            raise UpiError("there is no tree: build_tree or load_tree comes first")
        return self._game

    def _need_spot(self) -> Spot[HoldemState]:
        if self._spot is None:
            raise UpiError("nothing is solved: go or load_tree comes first")
        return self._spot


COMMANDS: dict[str, Callable[[Engine, str], str | None]] = {
    **dict.fromkeys(("is_ready", *NO_EFFECT), Engine.nothing),
    **{
        name: getattr(Engine, name)
        for name in (
            "set_end_string", "echo", "show_version", "show_hand_order", "set_threads", "set_accuracy",
            "set_board", "set_range", "set_pot", "set_eff_stack", "show_effective_stack", "set_bets",
            "build_tree", "is_tree_present", "free_tree", "load_tree", "dump_tree", "go", "stop",
            "wait_for_solver", "calc_results", "show_node", "show_children", "show_strategy", "show_range",
            "calc_ev", "calc_eq_node", "calc_global_freq",
        )
    },
}  # fmt: skip
"""What is understood, besides ``exit``."""


def _whole(text: str, what: str, least: int, most: int) -> int:
    number = _number(text, what)
    if number != int(number) or not least <= number <= most:
        raise UpiError(f"{what} must be a whole number from {least} to {most}, got {text}")
    return int(number)


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise UpiError(f"{what} must be a number of at least 0, got {text!r}")
    return number


def _chips(chips: float) -> str:
    return f"{chips:.6f}".rstrip("0").rstrip(".")


def _numbers(values: Floats) -> str:
    return " ".join("nan" if math.isnan(value) else f"{value:.6g}" for value in values.tolist())


def run(arguments: Sequence[str]) -> int:
    """The command: standard input and output; returns the exit code."""
    if arguments:
        helps = arguments[0] in ("-h", "--help")
        print(
            HELP if helps else f"error: upi takes no arguments, got {arguments[0]}",
            file=None if helps else sys.stderr,
        )
        return 0 if helps else 2

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        Engine(write).run(sys.stdin)
    return 0


HELP = f"""usage: pokerlab upi

Reads commands of the Universal Poker Interface from standard input, and answers on standard output:
{" ".join([*COMMANDS, "exit"])}
"""
