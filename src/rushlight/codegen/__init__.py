"""How a kernel becomes code. Knows no operation by name."""
