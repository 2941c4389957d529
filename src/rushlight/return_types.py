"""The named tuples that operations with several results return: `torch.return_types.max` and so on."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any


class Result(tuple):
    """A tuple whose items have names; printed one item a line, as PyTorch prints it."""

    __slots__ = ()
    fields: tuple[str, ...] = ()
    n_unnamed_fields = 0

    def __new__(cls, sequence: Iterable) -> Any:
        made = tuple.__new__(cls, sequence)
        if len(made) != len(cls.fields):
            raise TypeError(
                f"torch.return_types.{cls.__name__}() takes a {len(cls.fields)}-sequence "
                f"({len(made)}-sequence given)"
            )
        return made

    def __repr__(self) -> str:
        items = ",\n".join(f"{name}={item!r}" for name, item in zip(self.fields, self))
        return f"torch.return_types.{type(self).__name__}(\n{items})"

    def __reduce__(self) -> tuple:
        return type(self), (tuple(self),)


def _named(name: str, *fields: str) -> type[Result]:
    members: dict[str, Any] = {field: property(itemgetter(n)) for n, field in enumerate(fields)}
    members |= {
        "__slots__": (),
        "__match_args__": fields,
        "__module__": "rushlight.return_types",
        "fields": fields,
        "n_fields": len(fields),
        "n_sequence_fields": len(fields),
    }
    return type(name, (Result,), members)


aminmax = _named("aminmax", "min", "max")
cummax = _named("cummax", "values", "indices")
cummin = _named("cummin", "values", "indices")
frexp = _named("frexp", "mantissa", "exponent")
geqrf = _named("geqrf", "a", "tau")
histogram = _named("histogram", "hist", "bin_edges")
histogramdd = _named("histogramdd", "hist", "bin_edges")
kthvalue = _named("kthvalue", "values", "indices")
linalg_ldl_factor = _named("linalg_ldl_factor", "LD", "pivots")
linalg_ldl_factor_ex = _named("linalg_ldl_factor_ex", "LD", "pivots", "info")
lu_unpack = _named("lu_unpack", "P", "L", "U")
max = _named("max", "values", "indices")
median = _named("median", "values", "indices")
min = _named("min", "values", "indices")
mode = _named("mode", "values", "indices")
nanmedian = _named("nanmedian", "values", "indices")
sort = _named("sort", "values", "indices")
topk = _named("topk", "values", "indices")
