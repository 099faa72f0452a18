"""What the page asks of Runs and leagues."""

import re
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pokerlab.app.context import Context, MistakeError, json_object, read_object
from pokerlab.app.runs.commands import Commands, read_settings
from pokerlab.config.schema import check_run_name
from pokerlab.errors import UserError
from pokerlab.store.folder import OUTPUTS

SECONDS = 60.0
"""That reading may take."""
LINES = 300
"""Of a log, if nobody says how many."""


class Runs:
    """The area's requests.

    Args:
        context: what areas share.
    """

    def __init__(self, context: Context) -> None:
        self._worker, self._may_command, self._commands = (
            context.own["runs"],
            context.may_command,
            Commands(),
        )

    async def overview(self, request: Request) -> Response:
        """What there is."""
        return json_object({**await self._read("overview"), "may_command": self._may_command})

    async def run(self, request: Request) -> Response:
        """A run."""
        return json_object(await self._read("run", _name(request), request.query_params.get("seen", "")))

    async def league(self, request: Request) -> Response:
        """A league."""
        return json_object(await self._read("league", _name(request), request.query_params.get("seen", "")))

    async def log(self, request: Request) -> Response:
        """The end of a log."""
        query = request.query_params
        lines = query.get("lines", str(LINES))
        if not lines.isdecimal() or len(lines) > 9:
            raise MistakeError(f"lines must be a whole number, got {lines!r}")
        told = await self._read("log", _name(request), int(lines), _of_league(request), query.get("seen", ""))
        return json_object(told)

    async def config(self, request: Request) -> Response:
        """A config."""
        return json_object(await self._read("config", _name(request), _of_league(request)))

    async def start(self, request: Request) -> Response:
        """Starts a run or a league of an experiment."""
        self._check_command()
        given = await read_object(request)
        experiment, settings = str(given.get("experiment", "")), read_settings(given.get("settings", ""))
        known = {each["name"]: each for each in await self._read("experiments")}
        if experiment not in known:
            raise MistakeError(f"no experiment {experiment!r}: expected one of {', '.join(known)}")
        if any(setting.lstrip("+").startswith("experiment=") for setting in settings):
            raise MistakeError("the experiment is chosen above: leave it out of the settings")
        if known[experiment]["league"]:
            return await self._start_league(experiment, settings)
        launcher = [] if _value_of("launcher", settings) else ["launcher=local"]
        said = await self._commands.run("launch", f"experiment={experiment}", *launcher, *settings)
        name = next(iter(re.findall(r"(?m)^run +(\S+)", said)), "")
        return json_object({"name": name, "league": False, "said": said})

    async def _start_league(self, experiment: str, settings: list[str]) -> Response:
        named = _value_of("run_name", settings)
        name = named or f"{experiment}-{time.strftime('%Y%m%d-%H%M%S')}"
        try:
            check_run_name(name)
        except UserError as error:
            raise MistakeError(str(error)) from error
        if (OUTPUTS / name).exists():  # the command would go on with it
            raise MistakeError(f"{name} is there already: give another run_name, or resume that")
        words = [f"experiment={experiment}", *settings, *([] if named else [f"run_name={name}"])]
        said = await self._commands.drive_league(name, "run", *words)
        return json_object({"name": name, "league": True, "said": said})

    async def stop(self, request: Request) -> Response:
        """Stops a run, with a checkpoint or at once, or a league."""
        self._check_command()
        name, now = _name(request), (await read_object(request)).get("now") is True
        if _of_league(request):
            await self._read("check_league", name)
            return json_object({"said": await self._commands.run("league", "stop", str(OUTPUTS / name))})
        path = await self._folder(name)
        return json_object(
            {"said": await self._commands.run("jobs", "stop", path, *(["--now"] if now else []))}
        )

    async def resume(self, request: Request) -> Response:
        """Lets a run or a league go on."""
        self._check_command()
        name, settings = _name(request), read_settings((await read_object(request)).get("settings", ""))
        if _of_league(request):
            await self._read("check_league", name)
            said = await self._commands.drive_league(name, "resume", str(OUTPUTS / name), *settings)
        else:
            said = await self._commands.run("jobs", "resume", await self._folder(name), *settings)
        return json_object({"said": said})

    def _check_command(self) -> None:
        if not self._may_command:
            raise MistakeError("this page only shows runs: start, stop and resume them by the commands", 403)

    async def _folder(self, name: str) -> str:
        """Of a run that can be commanded."""
        if await self._read("is_shipped", name):
            raise MistakeError(f"{name} comes with the package: nothing runs it")
        return str(OUTPUTS / name)

    async def _read(self, what: str, *arguments: Any) -> Any:
        return await self._worker.call(f"runs.{what}", *arguments, seconds=SECONDS)


def _name(request: Request) -> str:
    name: str = request.query_params.get("name", "")
    return name


def _of_league(request: Request) -> bool:
    return request.query_params.get("kind") == "league"


def _value_of(key: str, settings: list[str]) -> str | None:
    found = [setting.partition("=")[2] for setting in settings if setting.partition("=")[0] == key]
    return found[-1] if found else None


def routes(context: Context) -> list[Route]:
    """The area's routes."""
    area, at = Runs(context), "/api/runs"
    return [
        Route(f"{at}/overview", area.overview),
        Route(f"{at}/run", area.run),
        Route(f"{at}/league", area.league),
        Route(f"{at}/log", area.log),
        Route(f"{at}/config", area.config),
        Route(f"{at}/start", area.start, methods=["POST"]),
        Route(f"{at}/stop", area.stop, methods=["POST"]),
        Route(f"{at}/resume", area.resume, methods=["POST"]),
    ]
