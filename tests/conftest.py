"""What every test shares: one thread for the libraries compared, and how hypothesis searches."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch are first imported

import pytest
from hypothesis import settings

settings.register_profile("rushlight", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("rushlight")


@pytest.fixture
def fused(monkeypatch):
    """Operations wait for one another, however the tests were started: for tests of what waits."""
    from rushlight.runtime.deferral import SWITCHES

    monkeypatch.setattr(SWITCHES, "fuse", True)
    monkeypatch.setenv("RUSHLIGHT_FUSE", "1")
