"""Sobol's sequence, point by point PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from both import same

import rushlight


def facts(engine: Any) -> list[Any]:
    return [engine.num_generated, engine.quasi, repr(engine), engine.shift, engine.sobolstate]


@pytest.mark.parametrize("options", [{}, {"scramble": True, "seed": 7}, {"scramble": True}], ids=str)
@pytest.mark.parametrize("dimension", [1, 2, 5, 40])
def test_draws(dimension: int, options: dict) -> None:
    def program(T: Any) -> Any:
        T.manual_seed(3)
        engine = T.quasirandom.SobolEngine(dimension, **options)
        found = [
            engine.draw(),
            engine.draw(3),
            engine.draw(1),
            engine.draw(5, dtype=T.float64),
            *facts(engine),
        ]
        engine.fast_forward(4)
        found += [
            engine.draw(2),
            engine.reset().draw(2),
            engine.reset().fast_forward(3).draw(2),
            *facts(engine),
        ]
        return found

    same(program)


def test_every_dimension_that_is_here() -> None:
    wanted = torch.quasirandom.SobolEngine(1111).sobolstate.numpy()
    assert np.array_equal(rushlight.quasirandom.SobolEngine(1111).sobolstate.numpy(), wanted)


def test_scrambled_in_many_dimensions() -> None:
    same(lambda T: T.quasirandom.SobolEngine(200, scramble=True, seed=1).draw(9))


def test_powers_of_two_and_out() -> None:
    def program(T: Any) -> Any:
        engine, out = T.quasirandom.SobolEngine(2), T.empty(0)
        made = engine.draw_base2(3, out=out)
        return made is out, out, engine.draw_base2(3), engine.draw_base2(4)

    same(program)
    same(lambda T: T.quasirandom.SobolEngine(2).fast_forward(3).draw_base2(2))


@pytest.mark.parametrize("dimension", [0, -1, 21202])
def test_no_such_dimension(dimension: int) -> None:
    same(lambda T: T.quasirandom.SobolEngine(dimension))


def test_more_dimensions_than_there_are_numbers_for() -> None:
    with pytest.raises(NotImplementedError, match="1111 dimensions"):
        rushlight.quasirandom.SobolEngine(1112)
