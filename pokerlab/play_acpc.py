"""Plays an agent against a dealer of the Annual Computer Poker Competition.

    pokerlab play-acpc HOST PORT agent=hunl-laptop:search_average
    python -m pokerlab.play_acpc HOST PORT agent=call game=hunl json=results.json

The dealer gives each player a port, and deals as long as it was told to. What opponents bet beside the
agent's menu is taken for one of the two neighbours (:mod:`pokerlab.agents.translation`).
"""

import sys

if __name__ == "__main__":  # before anything that takes a while: Ctrl-C is quiet from here on
    from pokerlab.console import run_command_of

    sys.exit(run_command_of("play_acpc", sys.argv[1:]))

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import torch

from pokerlab.agents.base import Agent
from pokerlab.agents.registry import POLICY_NET
from pokerlab.config.build import build
from pokerlab.config.command import as_mistakes, run_command
from pokerlab.config.machine import output_path, torch_device
from pokerlab.config.own_agents import own_agents
from pokerlab.config.schema import PlayAcpcConfig
from pokerlab.console import console
from pokerlab.errors import UserError
from pokerlab.evaluation.lineup import Lineup, name_of_run
from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem
from pokerlab.protocols.acpc import Dealt, ProtocolError, Results, play
from pokerlab.search.solver import Solver
from pokerlab.store.files import write_json
from pokerlab.training.stored_agents import agent_by_name
from pokerlab.training.trained import load_run


def play_acpc(config: PlayAcpcConfig) -> None:
    """Runs the command."""
    path = output_path(config.json, "json")
    game, agent = _agent(config)
    if not isinstance(game, Holdem):
        raise UserError(f"the ACPC deals hold'em, and {game.name} is not that: expected game=hunl")
    with as_mistakes():
        seat = Dealt(game, agent, config.seed)
    torch.set_num_threads(config.threads)
    out, results = console(), seat.results
    try:
        with out.status(f"{config.host}:{config.port}") as status:
            for results in play(config.host, config.port, seat, timeout=config.timeout):
                status.update(results.summary(game.big_blind))
    except ProtocolError as error:
        raise UserError(f"the dealer at {config.host}:{config.port}: {error}") from error
    except OSError as error:
        reason = "does not answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        raise UserError(f"the dealer at {config.host}:{config.port}: {reason}") from error
    finally:  # whatever ends it: no hand is lost
        if path and results.won:
            write_json(path, _results(config, game, results))
        if results.won:
            out.print(results.summary(game.big_blind), highlight=False, soft_wrap=True)
    if not results.won:
        raise UserError(f"the dealer at {config.host}:{config.port} hung up before a hand was over")


def _results(config: PlayAcpcConfig, game: Game, results: Results) -> dict[str, Any]:
    return {
        "game": game.name,
        "agent": config.agent,
        "seed": config.seed,
        "hands": len(results.won),
        "chips": results.won,
        "left": results.left,
    }


def _agent(config: PlayAcpcConfig) -> tuple[Game, Agent]:
    """The agent, and the game that it plays."""
    own = own_agents()
    find_run = cache(  # for its game, and for its agent
        partial(
            load_run,
            device=torch_device(config.device),
            solver=build(config.solver, key="solver", kind=Solver) if config.solver else None,
            search_iterations=config.search_iterations,
        )
    )
    game: Game | None = build(config.game, key="game", kind=Game) if config.game is not None else None
    with as_mistakes(f"agent={config.agent}: "):
        run = None if config.agent in own else name_of_run(config.agent, POLICY_NET)
        if game is None and run is not None:
            game = find_run(run[0]).game
    if game is None:
        raise UserError(f"agent={config.agent} is no run: give the game too, such as game=hunl")
    with as_mistakes(f"agent={config.agent}: "):
        return game, Lineup(game, find_run, POLICY_NET, own, agent_by_name).entrant(config.agent).agent


def as_overrides(arguments: Sequence[str]) -> list[str]:
    """The command line with ``HOST PORT``, which come first, as overrides."""
    given = list(arguments)
    for place, key in enumerate(("host", "port")):
        if place < len(given) and "=" not in given[place] and not given[place].startswith("-"):
            given[place] = f"{key}={given[place]}"
    return given


def run() -> None:
    """The command line."""
    sys.argv[1:] = as_overrides(sys.argv[1:])
    run_command("play_acpc", play_acpc)
