"""What all tests share."""

import pytest
import torch
from hypothesis import settings

settings.register_profile("pokerlab", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("pokerlab")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
