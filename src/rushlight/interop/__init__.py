"""How Rushlight meets other libraries and programs written for PyTorch."""
