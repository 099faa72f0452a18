"""Which code a run is trained by. Imports no torch."""

import hashlib
from functools import cache
from importlib.metadata import version

from pokerlab.store.files import shipped_path


@cache
def code_version() -> str:
    """The package's version and a digest of code, configs and pinned dependencies: ``0.2.0+1a2b3c4d5e``."""
    digest = hashlib.sha256()
    pins, package, conf = (shipped_path(name) for name in ("constraints.txt", "pokerlab", "conf"))
    digest.update(pins.read_bytes())
    for folder, files in ((package, "*.py"), (conf, "*.yaml")):
        for path in sorted(folder.rglob(files)):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return f"{version('pokerlab')}+{digest.hexdigest()[:10]}"
