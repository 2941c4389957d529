"""What every test shares: one thread for the libraries compared, and how hypothesis searches."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch are first imported

from hypothesis import settings

settings.register_profile("rushlight", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("rushlight")
