"""The rest of pyproject.toml: conf/, trained/ and constraints.txt, beside the package, travel inside it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithData(build_py):
    """Puts them into a wheel; an editable installation finds them where they are."""

    def run(self) -> None:
        """Builds."""
        super().run()
        if not self.editable_mode:
            inside = Path(self.build_lib) / "pokerlab"
            for folder in ("conf", "trained"):
                shutil.rmtree(inside / folder, ignore_errors=True)
                shutil.copytree(folder, inside / folder)
            shutil.copy("constraints.txt", inside)


setup(cmdclass={"build_py": BuildWithData})
