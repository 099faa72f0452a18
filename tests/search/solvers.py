"""CFR on each backend."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import pytest

from pokerlab.search.cfr import CFR

Start: TypeAlias = Callable[..., CFR]
"""Takes the arguments of :class:`CFR`."""

with_tensors: Start = partial(CFR, backend="tensors")
with_loops: Start = partial(CFR, backend="compiled")

EITHER_SOLVER = pytest.mark.parametrize("search", [with_tensors, with_loops], ids=["tensors", "compiled"])
