"""Sequences of different lengths: padded to one tensor, or packed step by step."""
