"""``pokerlab COMMAND …``: a command's module, and torch with it, is imported when it is asked for."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pokerlab.console import run_command_of
from pokerlab.errors import near

HYDRA_COMMANDS = {
    "train": "trains an agent by self-play and search, here and now",
    "launch": "submits a run, or a sweep of them, and returns at once",
    "solve": "solves a game by tabular CFR",
    "evaluate": "measures a run: exploitability, matches, bounds, pictures",
    "play-acpc": "plays an agent against a dealer of the ACPC: HOST PORT agent=AGENT",
}
COMMANDS = HYDRA_COMMANDS | {
    "upi": "answers solvers' text commands on standard input",
    "jobs": "lists, follows, stops, fetches and resumes runs",
    "league": "grows populations, and shows them",
    "app": "opens the browser app: explore solved spots, play agents",
}
PLAIN = {
    "jobs": "pokerlab.jobs.command",
    "league": "pokerlab.league.command",
    "upi": "pokerlab.protocols.upi",
    "app": "pokerlab.app.command",
}
"""Commands that Hydra does not run, and their modules."""
PRIMARY = {name: name.replace("-", "_") for name in HYDRA_COMMANDS} | {"launch": "train"}
HELP = f"""usage: pokerlab COMMAND [key=value ...]

{chr(10).join(f"  {name:<9} {does}" for name, does in COMMANDS.items())}

pokerlab COMMAND --help says more; pokerlab --version the version.
Shell completion: eval "$(pokerlab -sc install=bash)"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script; returns the exit code."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        print(HELP, end="")
    elif name == "--version":
        from importlib.metadata import version

        print(version("pokerlab"))
    elif name in ("-sc", "--shell-completion"):
        complete(rest)
    elif name in PLAIN:
        from importlib import import_module

        return int(import_module(PLAIN[name]).run(rest) or 0)
    elif name not in COMMANDS:
        print(f"error: unknown command {name!r}{near(name, list(COMMANDS))}", file=sys.stderr)
        return 2
    else:
        return run_command_of(name.replace("-", "_"), rest)
    return 0


def complete(arguments: Sequence[str]) -> None:
    """Hydra's completion, after the command's name; imports no torch."""
    words = os.environ.get("COMP_LINE", "").split(" ")[1:]
    if not any(argument.startswith("query=") for argument in arguments):
        _ask_hydra("train", arguments)
    elif len(words) < 2:
        print(" ".join(COMMANDS))
    elif words[0] in HYDRA_COMMANDS:
        os.environ["COMP_LINE"] = " ".join(["pokerlab", *words[1:]])
        _ask_hydra(PRIMARY[words[0]], arguments)
    elif words[0] in ("jobs", "league") and len(words) > 2:
        print(" ".join(path.name for path in Path("outputs").glob("*/")))


def _ask_hydra(primary: str, arguments: Sequence[str]) -> None:
    import hydra

    from pokerlab.config.compose import CONF

    sys.argv = ["pokerlab", "-sc", *arguments]
    hydra.main(version_base="1.3", config_path=str(CONF), config_name=primary)(lambda _: None)()


if __name__ == "__main__":
    sys.exit(main())
