"""Policies of whole games in files: probabilities and nothing else, so that reading one runs nothing.

A file (npz) has ``strategy`` ``[E, H]``, for all players, in the order of
:class:`~pokerlab.search.sequence_game.SequenceGame`, and ``about``, JSON that says of which game it is.
"""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pokerlab.agents.tabular import TabularAgent
from pokerlab.errors import UserError
from pokerlab.games.base import MOST_HANDS, Floats, Game, is_small
from pokerlab.games.many_players import ManyPlayerGame
from pokerlab.search.sequence_game import SequenceGame, sequence_game
from pokerlab.store.files import open_to_read, write_atomically

VERSION = 1
FILE = "policy.npz"
"""What a folder's policy is called."""
PRECISION = 1e-6
"""By which probabilities may differ from 1 in sum."""


def check_tabular(game: Game | ManyPlayerGame) -> None:
    """Raises a ValueError if policies of a game are too large for tables."""
    if isinstance(game, Game) and not is_small(game):
        raise ValueError(
            f"{game.name} is too large for tables of whole policies: expected a game that can be enumerated, "
            f"of at most {MOST_HANDS} hands"
        )


def _about(game: SequenceGame) -> dict[str, Any]:
    return {"policy": VERSION, "game": game.game.name, "rules": json.loads(json.dumps(game.game.rules))}


def write_policy(path: Path, game: SequenceGame, strategy: Floats) -> None:
    """Writes a policy, all or nothing; the same policy gives the same bytes.

    Raises:
        OSError: it cannot be written.
    """
    pure = strategy.astype(bool) if np.isin(strategy, (0.0, 1.0)).all() else strategy
    about = np.array(json.dumps(_about(game)))
    write_atomically(path, lambda file: np.savez_compressed(file, about=about, strategy=pure))


def read_policy(path: Path, game: SequenceGame) -> Floats:
    """The strategy ``[E, H]`` of a file, or of the file of that name in a folder.

    Raises:
        UserError: it is gone, damaged, or of another game.
    """
    path = path / FILE if path.is_dir() else path
    try:
        with open_to_read(path) as file, np.load(file, allow_pickle=False) as content:
            about, strategy = json.loads(str(content["about"])), content["strategy"].astype(float)
        version, name, rules = about["policy"], about["game"], about["rules"]
    except FileNotFoundError as error:
        raise UserError(f"{path} is gone, or never was") from error
    except (KeyError, ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} is truncated, or not a policy") from error
    if version != VERSION:
        raise UserError(f"{path} is a policy of version {version}: expected {VERSION}")
    if rules != _about(game)["rules"]:
        raise UserError(f"{path} is a policy of another game: of {name}, not of {game.game.name}")
    if strategy.shape != (game.num_edges, game.num_hands) or not _is_strategy(game, strategy):
        raise UserError(f"{path} is damaged: it has no distribution over the actions of every hand")
    return strategy


def _is_strategy(game: SequenceGame, strategy: Floats) -> bool:
    total = np.zeros((len(game.states), game.num_hands))
    np.add.at(total, game.edge_node, strategy)
    return bool(((strategy >= 0).all() and np.abs(total - 1) < PRECISION).all())


def stored_policy(game: Game, path: str | Path) -> TabularAgent:
    """The agent that plays a policy in a file, or in a folder such as a league's.

    Raises:
        ValueError: the game is too large.
        UserError: see :func:`read_policy`.
    """
    check_tabular(game)
    found = sequence_game(game)
    return agent_of(found, read_policy(Path(path), found))


def agent_of(game: SequenceGame, strategy: Floats) -> TabularAgent:
    """The agent that plays a strategy ``[E, H]`` of a game of two players."""
    table = {}
    for node, state in enumerate(game.states):
        edges = slice(game.nodes.first[node], game.nodes.end[node])
        chances = torch.zeros(game.game.num_actions, game.num_hands, dtype=torch.float64)
        chances[game.edge_action[edges]] = torch.as_tensor(strategy[edges])
        table[state] = chances
    return TabularAgent(game.game, table)
