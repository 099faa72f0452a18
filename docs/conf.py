"""How Sphinx builds the documentation: `make docs`."""

import pkgutil
import tomllib
from pathlib import Path
from typing import Any

from sphinx.ext.napoleon.docstring import GoogleDocstring

import pokerlab

HERE = Path(__file__).parent
ROOMS = {
    "games": "Games",
    "search": "Search",
    "learning": "Learning",
    "selfplay": "Self-play",
    "algorithms": "Algorithms",
    "agents": "Agents",
    "evaluation": "Evaluation",
    "callbacks": "Callbacks",
    "store": "A run's folder",
    "training": "Training",
    "jobs": "Launching and following runs",
    "config": "Configuration",
    "spot": "Spots",
    "league": "Leagues",
    "play": "Playing an agent",
    "protocols": "Other programs",
    "app": "The browser app",
}

project = "pokerlab"
author = "the pokerlab authors"
copyright = f"2026, {author}"
release = version = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"pokerlab {release}"
html_copy_source = False
html_show_sourcelink = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
# "Chips: what is won." is a sentence, not an attribute of type Chips
GoogleDocstring._parse_attribute_docstring = GoogleDocstring._consume_to_end


def write_reference() -> None:
    """One page for each room, with a section for each of its modules."""
    modules = [
        module.name for module in pkgutil.walk_packages(pokerlab.__path__, "pokerlab.")
        if not module.ispkg and not module.name.endswith("__main__")
    ]  # fmt: skip
    folder = HERE / "api" / "rooms"
    folder.mkdir(exist_ok=True)
    for room, title in ROOMS.items():
        lines = [title, "=" * len(title), "", f".. automodule:: pokerlab.{room}", ""]
        for name in modules:
            if name.startswith(f"pokerlab.{room}."):
                lines += [name, "-" * len(name), "", f".. automodule:: {name}", ""]
        page = folder / f"{room}.rst"
        if not page.exists() or page.read_text() != "\n".join(lines):
            page.write_text("\n".join(lines))


def skip(app: object, what: str, name: str, obj: object, skipped: bool, options: object) -> bool | None:
    """Leaves out fields of named tuples that say nothing of themselves."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def setup(app: Any) -> None:
    """What Sphinx calls first."""
    write_reference()
    app.connect("autodoc-skip-member", skip)
