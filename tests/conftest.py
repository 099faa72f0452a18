"""What all tests share."""

import signal

import pytest
import torch
from hypothesis import settings

settings.register_profile("pokerlab", deadline=None, max_examples=20, derandomize=True)
settings.load_profile("pokerlab")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _interrupts() -> None:
    """Shells start what runs in the background deaf to Ctrl-C, and so would be the processes of tests."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
