"""What nodes kept for backward, under PyTorch's names; and tensors that are written to although they were kept."""

import pytest
from both import same

PROGRAMS = [
    "(x * y).grad_fn._saved_self",
    "(x * y).grad_fn._saved_other",
    "(x * T.ones(2)).grad_fn._saved_self",
    "(x * y).grad_fn._saved_self is x",
    "x.exp().grad_fn._saved_result",
    "x.pow(2).grad_fn._saved_self",
    "T.pow(x, y).grad_fn._saved_exponent",
    "T.mm(x[None], y[:, None]).grad_fn._saved_mat2",
    "T.mv(x[None], y).grad_fn._saved_vec",
    "x.exp().grad_fn._saved_nothing",
    "'_saved_self' in dir((x * y).grad_fn), '_saved_result' in dir(x.exp().grad_fn)",
    "(lambda z: (z.sum().backward(), z.grad_fn._saved_result))(x.exp())",
    "(lambda z: (z.add_(1), z.grad_fn.next_functions[0][0]._saved_result))(x.exp())",
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_kept_tensors(program):
    def run(T):
        x, y = (T.tensor(values, requires_grad=True) for values in ([1.0, 2.0], [3.0, 4.0]))
        return eval(program, {"T": T, "x": x, "y": y})

    same(run)


def test_kept_tensors_may_be_written_to():
    def program(T):
        x = T.tensor([1.0, 2.0], requires_grad=True)
        with T.autograd.graph.allow_mutation_on_saved_tensors():
            y = x.clone()
            out = (y**2 + y.exp()).sum()
            y.sin_()
            out.backward()
        return x.grad, y

    same(program)


@pytest.mark.parametrize("clear", [False, True])
def test_what_was_kept_is_for_backward_in_the_block(clear):
    def program(T):
        x = T.tensor([1.0, 2.0], requires_grad=True)
        with T.autograd.graph.allow_mutation_on_saved_tensors() as copies:
            out = (x**2).sum()
            if clear:
                copies.clear()
                out.backward()
        out.backward()

    same(program)


def test_blocks_do_not_nest():
    def program(T):
        with T.autograd.graph.allow_mutation_on_saved_tensors():
            with T.autograd.graph.allow_mutation_on_saved_tensors():
                pass

    same(program)


@pytest.mark.parametrize("base", ["-1", "-2.5", "-T.ones(2, dtype=T.float64)", "0"])
@pytest.mark.parametrize("wide", [False, True])
def test_exponents_of_negative_numbers(base, wide):
    def program(T):
        y = T.tensor([0.5, 2.0], dtype=T.complex128 if wide else T.float64)
        y = (y + 0.25j if wide else y).requires_grad_()
        out = T.pow(eval(base, {"T": T}), y)
        return T.autograd.grad(out.abs().sum(), y)

    same(program)
