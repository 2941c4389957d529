"""The table of Kullback-Leibler divergences, and the way from two distributions to their rule."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["kl_divergence", "register_kl"]


_RULES: dict[tuple[type, type], Callable] = {}


def register_kl(type_p: type, type_q: type) -> Callable:
    """A decorator: the function computes the divergence of a `type_q` from a `type_p`, classes of distributions of any library.

    Raises:
        TypeError: not a class.
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def declare(rule: Callable) -> Callable:
        _RULES[type_p, type_q] = rule
        return rule

    return declare


def kl_divergence(p: Any, q: Any) -> Any:
    """The expectation of log p(x) - log q(x), x from p.

    Raises:
        NotImplementedError: there is no rule for the two families.

    Example:
        >>> import rushlight as torch
        >>> D = torch.distributions
        >>> D.kl_divergence(D.Normal(0.0, 1.0), D.Normal(1.0, 1.0))
        tensor(0.5000)
    """
    rule = _rule(type(p), type(q))
    if rule is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}"
        )
    return rule(p, q)


def _rule(p: type, q: type) -> Callable | None:
    """The rule for the classes nearest to these; a warning where nearest to p and nearest to q are two."""
    distances = {
        pair: (p.__mro__.index(pair[0]), q.__mro__.index(pair[1]))
        for pair in _RULES
        if issubclass(p, pair[0]) and issubclass(q, pair[1])
    }
    if not distances:
        return None
    left = min(distances, key=lambda pair: distances[pair])
    right = min(distances, key=lambda pair: distances[pair][::-1])
    if _RULES[left] is not _RULES[right]:
        warnings.warn(
            f"Ambiguous kl_divergence({p.__name__}, {q.__name__}). Please register_kl({left[0].__name__}, "
            f"{right[1].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _RULES[left]
