"""What acts at a table: policy networks, search, tabular strategies, baselines.

``pokerlab.agents()`` are the names of those that need no training.
"""

from pokerlab._callable import make_callable


def agent_names() -> list[str]:
    """What :func:`pokerlab.make_agent` takes."""
    from pokerlab.agents.registry import AGENTS

    return sorted([*AGENTS, "lbr"])


make_callable(__name__, agent_names)
