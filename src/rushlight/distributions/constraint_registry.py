"""From unconstrained numbers into a constraint: `biject_to` one to one, `transform_to` onto."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Number
from typing import Any

from rushlight.distributions import constraints
from rushlight.distributions import transforms as T

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]


class ConstraintRegistry:
    """Which transform leads into a constraint of some class; called with a constraint, it makes that transform."""

    def __init__(self) -> None:
        self._registry: dict[type, Callable] = {}

    def register(self, constraint: Any, factory: Any = None) -> Any:
        """Say how to reach constraints of a class (given it, or an instance); also a decorator.

        Raises:
            TypeError: `constraint` is neither.
        """
        if factory is None:
            return lambda factory: self.register(constraint, factory)
        kind = type(constraint) if isinstance(constraint, constraints.Constraint) else constraint
        if not isinstance(kind, type) or not issubclass(kind, constraints.Constraint):
            raise TypeError(
                f"Expected constraint to be either a Constraint subclass or instance, but got {constraint}"
            )
        self._registry[kind] = factory
        return factory

    def __call__(self, constraint: Any) -> Any:
        try:
            factory = self._registry[type(constraint)]
        except KeyError:
            raise NotImplementedError(f"Cannot transform {type(constraint).__name__} constraints") from None
        return factory(constraint)


biject_to = ConstraintRegistry()
transform_to = ConstraintRegistry()


def _to_interval(c: Any) -> Any:
    if (
        all(isinstance(b, Number) for b in (c.lower_bound, c.upper_bound))
        and c.lower_bound == 0
        and c.upper_bound == 1
    ):
        return T.SigmoidTransform()
    onto = T.AffineTransform(c.lower_bound, c.upper_bound - c.lower_bound)
    return T.ComposeTransform([T.SigmoidTransform(), onto])


for _registry in (biject_to, transform_to):

    def _to_independent(c: Any, inner: ConstraintRegistry = _registry) -> Any:
        return T.IndependentTransform(inner(c.base_constraint), c.reinterpreted_batch_ndims)

    def _to_cat(c: Any, inner: ConstraintRegistry = _registry) -> Any:
        return T.CatTransform([inner(part) for part in c.cseq], c.dim, c.lengths)

    def _to_stack(c: Any, inner: ConstraintRegistry = _registry) -> Any:
        return T.StackTransform([inner(part) for part in c.cseq], c.dim)

    def _above(c: Any) -> Any:
        return T.ComposeTransform([T.ExpTransform(), T.AffineTransform(c.lower_bound, 1)])

    def _below(c: Any) -> Any:
        return T.ComposeTransform([T.ExpTransform(), T.AffineTransform(c.upper_bound, -1)])

    _registry.register(constraints.real, lambda c: T.identity_transform)
    _registry.register(constraints.independent, _to_independent)
    _registry.register(constraints.cat, _to_cat)
    _registry.register(constraints.stack, _to_stack)
    _registry.register(constraints.corr_cholesky, lambda c: T.CorrCholeskyTransform())
    _registry.register(constraints.greater_than, _above)
    _registry.register(constraints.greater_than_eq, _above)
    _registry.register(constraints.less_than, _below)
    _registry.register(constraints.interval, _to_interval)
    _registry.register(constraints.half_open_interval, _to_interval)

biject_to.register(constraints.simplex, lambda c: T.StickBreakingTransform())
transform_to.register(constraints.simplex, lambda c: T.SoftmaxTransform())
transform_to.register(constraints.lower_cholesky, lambda c: T.LowerCholeskyTransform())
transform_to.register(constraints.positive_definite, lambda c: T.PositiveDefiniteTransform())
transform_to.register(constraints.positive_semidefinite, lambda c: T.PositiveDefiniteTransform())
