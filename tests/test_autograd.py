"""`backward`, `grad`, `.grad`, flags, hooks, modes and the recorded graph, compared with PyTorch."""

from __future__ import annotations

import gc
import threading
import warnings

import pytest
from both import same

import rushlight


def leaf(T, *values):
    return T.tensor(values or (1.0, 2.0), requires_grad=True)


# ---- backward and grad: results and errors ----

CALLS = {
    "scalar": lambda T, x: (x * x).sum().backward(),
    "one element": lambda T, x: (x * x)[:1].backward(),
    "leaf with weight": lambda T, x: x.backward(T.ones(2)),
    "weight of another dtype": lambda T, x: (x * 2).backward(T.ones(2, dtype=T.float64)),
    "not scalar": lambda T, x: (x * 2).backward(),
    "constant": lambda T, x: T.ones(()).backward(),
    "integer": lambda T, x: T.ones((), dtype=T.int64).backward(),
    "complex": lambda T, x: T.ones((), dtype=T.complex64, requires_grad=True).backward(),
    "complex weight": lambda T, x: x.sum().backward(T.ones((), dtype=T.complex64)),
    "wrong shape": lambda T, x: x.backward(T.ones(3)),
    "number as weight": lambda T, x: x.backward(1.0),
    "retain_graph text": lambda T, x: x.sum().backward(retain_graph="a"),
    "inputs": lambda T, x: (x * x).sum().backward(inputs=[x]),
    "inputs empty": lambda T, x: x.sum().backward(inputs=[]),
    "inputs constant": lambda T, x: x.sum().backward(inputs=[T.ones(2)]),
    "inputs number": lambda T, x: x.sum().backward(inputs=3),
    "inputs numbers": lambda T, x: x.sum().backward(inputs=[3]),
    "inputs dict": lambda T, x: (x * x).sum().backward(inputs={"x": x}),
    "several": lambda T, x: T.autograd.backward([x.sum(), (x * x).sum()]),
    "several, one constant": lambda T, x: T.autograd.backward([x.sum(), T.ones(())]),
    "too few weights": lambda T, x: T.autograd.backward([x, x], [T.ones(2)]),
    "nothing": lambda T, x: T.autograd.backward([]),
    "no tensor": lambda T, x: T.autograd.backward([3]),
    "both weights": lambda T, x: T.autograd.backward(x, T.ones(2), grad_variables=T.ones(2)),
    "grad": lambda T, x: T.autograd.grad((x * x).sum(), x),
    "grad of itself": lambda T, x: T.autograd.grad(x, x, T.ones(2)),
    "grad twice named": lambda T, x: T.autograd.grad((x * 2).sum(), [x, x]),
    "grad dict": lambda T, x: T.autograd.grad((x * 2).sum(), {"a": x}),
    "grad constant input": lambda T, x: T.autograd.grad(x.sum(), T.ones(2)),
    "grad constant output": lambda T, x: T.autograd.grad(T.ones(()), x),
    "grad number": lambda T, x: T.autograd.grad(x.sum(), 3),
    "grad no inputs": lambda T, x: T.autograd.grad(x.sum(), []),
    "grad unused": lambda T, x: T.autograd.grad(x.sum(), [x, leaf(T)]),
    "grad unused allowed": lambda T, x: T.autograd.grad(x.sum(), [leaf(T), x], allow_unused=True),
    "grad materialized": lambda T, x: T.autograd.grad(x.sum(), [leaf(T), x], materialize_grads=True),
    "grad contradicting": lambda T, x: T.autograd.grad(
        x.sum(), x, materialize_grads=True, allow_unused=False
    ),
    "grad only_inputs": lambda T, x: T.autograd.grad(x.sum(), x, only_inputs=False),
    "grad batched": lambda T, x: T.autograd.grad(x * 3, x, T.eye(2), is_grads_batched=True),
    "grad batched, wrong shape": lambda T, x: T.autograd.grad(x * 3, x, T.eye(3), is_grads_batched=True),
    "grad too many weights": lambda T, x: T.autograd.grad([x * 2], [x], [T.ones(2), T.ones(2)]),
    "grad of a view's part": lambda T, x: T.autograd.grad(x.unbind(0)[1], x),
}


@pytest.mark.parametrize("call", CALLS)
def test_backward_and_grad(call):
    def program(T):
        x = leaf(T)
        result = CALLS[call](T, x)
        return result, x.grad

    same(program)


def test_gradients_accumulate_in_place():
    def program(T):
        x = leaf(T)
        (x * x).sum().backward()
        first = x.grad
        (x * 3).sum().backward()
        return first is x.grad, first

    same(program)


def test_a_given_weight_is_not_kept_as_the_gradient():
    def program(T):
        x, g = leaf(T), T.ones(2)
        x.backward(g)
        x.backward(g)
        return x.grad, g

    same(program)


@pytest.mark.parametrize("order", range(1, 5))
def test_higher_orders(order):
    def program(T):
        x = T.tensor([0.5, -1.5], dtype=T.float64, requires_grad=True)
        y = (x.sin() * x**3 + x.exp() / x).sum()
        for _ in range(order):
            (g,) = T.autograd.grad(y, x, create_graph=True)
            y = g.sum()
        return g

    same(program)


def test_create_graph_keeps_the_graph_of_the_gradient():
    def program(T):
        x = leaf(T)
        (x**3).sum().backward(create_graph=True)
        first = x.grad.clone()
        (x.grad * x).sum().backward()
        return first, x.grad, x.grad.requires_grad

    same(program)


# ---- flags and attributes ----

ATTRIBUTES = {
    "grad number": lambda T, x, y: setattr(x, "grad", 1.0),
    "grad shape": lambda T, x, y: setattr(x, "grad", T.ones(3)),
    "grad dtype": lambda T, x, y: setattr(x, "grad", T.ones(2, dtype=T.float64)),
    "grad itself": lambda T, x, y: setattr(x, "grad", x),
    "grad None": lambda T, x, y: setattr(x, "grad", None),
    "grad of a constant": lambda T, x, y: setattr(T.ones(2), "grad", T.ones(2)),
    "grad deleted": lambda T, x, y: delattr(x, "grad"),
    "requires_grad number": lambda T, x, y: setattr(x, "requires_grad", 1),
    "requires_grad off": lambda T, x, y: setattr(y, "requires_grad", False),
    "requires_grad on": lambda T, x, y: setattr(y, "requires_grad", True),
    "requires_grad integer": lambda T, x, y: setattr(T.ones(2, dtype=T.int32), "requires_grad", True),
    "requires_grad_ integer": lambda T, x, y: T.ones(2, dtype=T.bool).requires_grad_(),
    "requires_grad_ number": lambda T, x, y: x.requires_grad_(1),
    "requires_grad_ named": lambda T, x, y: x.requires_grad_(requires_grad=False).requires_grad,
    "requires_grad_ computed off": lambda T, x, y: y.requires_grad_(False),
    "requires_grad_ computed on": lambda T, x, y: y.requires_grad_().is_leaf,
    "retain_grad constant": lambda T, x, y: T.ones(2).retain_grad(),
    "retains_grad": lambda T, x, y: (
        y.retains_grad,
        y.retain_grad(),
        y.retains_grad,
        x.retain_grad(),
        x.retains_grad,
    ),
    "output_nr": lambda T, x, y: [part.output_nr for part in x.unbind(0)],
    "hook on a constant": lambda T, x, y: T.ones(1).register_hook(print),
    "post hook on a constant": lambda T, x, y: T.ones(1).register_post_accumulate_grad_hook(print),
    "post hook on a computed": lambda T, x, y: y.register_post_accumulate_grad_hook(print),
    "data integer": lambda T, x, y: setattr(x, "data", T.ones(2, dtype=T.int64)),
    "data number": lambda T, x, y: setattr(x, "data", 3),
    "detach_ view": lambda T, x, y: y.view(2).detach_(),
    "detach_": lambda T, x, y: (y.detach_().requires_grad, y.grad_fn),
}


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_attributes(attribute):
    same(lambda T: ATTRIBUTES[attribute](T, x := leaf(T), x * 2))


def test_grad_of_a_computed_tensor_warns():
    y = leaf(rushlight) * 2
    with pytest.warns(
        UserWarning, match="The .grad attribute of a Tensor that is not a leaf Tensor is being accessed"
    ):
        assert y.grad is None
    y.retain_grad()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert y.grad is None


# ---- hooks ----

REPLACEMENTS = {
    "nothing": lambda T, g: None,
    "tripled": lambda T, g: g * 3,
    "number": lambda T, g: 3,
    "shape": lambda T, g: T.ones(3),
    "dtype": lambda T, g: g.double(),
}


@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_tensor_hooks(replacement, computed):
    def program(T):
        x = leaf(T)
        y = x * 2
        (y if computed else x).register_hook(lambda g: REPLACEMENTS[replacement](T, g))
        y.sum().backward()
        return x.grad

    same(program)


NODE_REPLACEMENTS = {
    "nothing": lambda T, *g: None,
    "number": lambda T, *g: 3,
    "one": lambda T, *g: (T.full((2,), 5.0),),
    "two": lambda T, *g: (T.full((2,), 5.0), None),
    "tensor": lambda T, *g: T.ones(2),
    "in place of None": lambda T, *g: (T.ones(2), T.ones(2)),
    "none at all": lambda T, *g: (None, None),
    "shape": lambda T, *g: (T.ones(3), None),
}


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("replacement", NODE_REPLACEMENTS)
def test_node_hooks(replacement, before):
    def program(T):
        x = leaf(T)
        y = x * 2
        register = y.grad_fn.register_prehook if before else y.grad_fn.register_hook
        register(lambda *g: NODE_REPLACEMENTS[replacement](T, *g))
        y.sum().backward()
        return x.grad

    same(program, text=False)


def test_order_of_hooks():
    def program(T):
        x, log = leaf(T), []
        y = x * 3
        end = y.grad_fn.next_functions[0][0]
        end.register_hook(lambda gi, go: log.append(("accumulate after", gi, go)))
        end.register_prehook(lambda go: log.append(("accumulate before", go)))
        x.register_hook(lambda g: log.append(("leaf", g)))
        x.register_post_accumulate_grad_hook(lambda t: log.append(("accumulated", t.grad.clone())))
        y.grad_fn.register_hook(lambda gi, go: log.append(("node after", gi, go)))
        y.grad_fn.register_prehook(lambda go: log.append(("node before", go)))
        y.register_hook(lambda g: log.append(("computed", g)))
        y.sum().backward()
        return log, type(end).__name__, end.variable is x

    same(program)


def test_removed_hooks_do_not_run():
    def program(T):
        x, log = leaf(T), []
        handle = x.register_hook(lambda g: log.append(1))
        with x.register_hook(lambda g: log.append(2)):
            x.sum().backward()
        handle.remove()
        handle.remove()
        x.sum().backward()
        return log

    same(program)


def test_retained_gradients_follow_the_newest_values():
    def program(T):
        x = leaf(T, 1.0, 2.0, 3.0)
        y, z, w = x * 2, x * 2, x * 2
        y.retain_grad()
        y.mul_(3)
        view = z[:2]
        view.retain_grad()
        view.mul_(3)
        part = w[:2]
        part.retain_grad()
        w.mul_(5)
        ((y * y).sum() + (z * z).sum() + (view * w[1:]).sum() + (part * part).sum()).backward()
        return y.grad, view.grad, part.grad, x.grad

    same(program)


def test_gradients_asked_for_come_from_before_the_hooks():
    def program(T):
        x = leaf(T)
        y = x * 2
        y.register_hook(lambda g: g * 10)
        z = (y * y).sum()
        return T.autograd.grad(z, [y, x], retain_graph=True), T.autograd.grad(z, [y])

    same(program)


# ---- modes ----


def test_modes_nest_decorate_and_end():
    def program(T):
        log = []

        @T.no_grad()
        def plain():
            return T.is_grad_enabled()

        @T.no_grad
        def bare():
            return T.is_grad_enabled()

        @T.no_grad()
        def steps():
            for _ in range(2):
                yield T.is_grad_enabled()

        @T.inference_mode()
        def inferring():
            return T.is_inference_mode_enabled(), T.is_grad_enabled()

        log += [
            plain(),
            bare(),
            [(v, T.is_grad_enabled()) for v in steps()],
            inferring(),
            T.is_grad_enabled(),
        ]
        with T.no_grad():
            with T.enable_grad():
                log.append(T.is_grad_enabled())
            with T.inference_mode():
                with T.inference_mode(False):
                    log.append((T.is_inference_mode_enabled(), T.is_grad_enabled()))
            log.append(T.is_grad_enabled())
        with T.set_grad_enabled(False) as nothing:
            log.append((nothing, T.is_grad_enabled()))
        T.set_grad_enabled(False)
        log.append(T.is_grad_enabled())
        T.set_grad_enabled(True)

        @T.set_grad_enabled(False)
        def off():
            return T.is_grad_enabled()

        log += [off(), T.is_grad_enabled(), repr(T.set_grad_enabled(True))]
        return log

    same(program)


WRONG_MODES = {
    "number": lambda T: T.set_grad_enabled(1),
    "text": lambda T: T.set_grad_enabled("a"),
    "keyword": lambda T: T.no_grad(mode=True),
    "no argument": lambda T: T.set_grad_enabled(),
}


@pytest.mark.parametrize("call", WRONG_MODES)
def test_wrong_modes(call):
    same(WRONG_MODES[call], text=False)


def test_modes_belong_to_their_thread():
    seen = []
    with rushlight.no_grad(), rushlight.inference_mode():
        thread = threading.Thread(
            target=lambda: seen.append((rushlight.is_grad_enabled(), rushlight.ones(1).is_inference()))
        )
        thread.start()
        thread.join()
    assert seen == [(True, False)]


INFERENCE = {
    "flags": lambda T, m, x: (
        m.is_inference(),
        m.clone().is_inference(),
        m.detach().is_inference(),
        m[:1].is_inference(),
    ),
    "version": lambda T, m, x: m.add_(1),
    "kept": lambda T, m, x: x * m,
    "not kept": lambda T, m, x: (x + m).sum().backward() or x.grad,
    "requires_grad_": lambda T, m, x: m.requires_grad_(),
    "fill_": lambda T, m, x: m.zero_(),
    "copy_": lambda T, m, x: m.copy_(x),
    "into another": lambda T, m, x: T.zeros(2).add_(m),
    "result": lambda T, m, x: (m + 1).is_inference(),
}


@pytest.mark.parametrize("use", INFERENCE)
def test_inference_tensors(use):
    def program(T):
        x = leaf(T)
        with T.inference_mode():
            m = T.ones(2)
        return INFERENCE[use](T, m, x)

    same(program)


@pytest.mark.parametrize("use", ["index", "mask", "index_put", "write", "unneeded"])
def test_inference_tensors_as_indices(use):
    def program(T):
        x = leaf(T)
        with T.inference_mode():
            at, mask = T.tensor([0, 1]), T.tensor([True, False])
        return {
            "index": lambda: x[at],
            "mask": lambda: x[mask],
            "index_put": lambda: x.index_put((at,), T.ones(2)),
            "write": lambda: (x * 1).__setitem__(at, 1.0),
            "unneeded": lambda: x.detach()[at],
        }[use]()

    same(program)


def test_inference_mode_on_ordinary_tensors():
    def program(T):
        x = T.zeros(3)
        with T.inference_mode():
            x.add_(1)
            view = x[1:]
            made = x * 2
        return x, view.is_inference(), made.is_inference(), x.is_inference(), x._version

    same(program)


# ---- the graph ----


def test_walking_the_graph():
    def program(T):
        x, w = leaf(T), leaf(T, 3.0, 4.0)
        names, seen = [], [((x * w + 1).exp() @ w).grad_fn]
        while seen:
            node = seen.pop()
            names.append((node.name(), len(node.next_functions)))
            seen += [following for following, _ in node.next_functions if following is not None]
        return names

    same(program)


def test_node_attributes():
    def program(T):
        node = (leaf(T) * 2).grad_fn
        node.metadata["note"] = 1
        return node.metadata, type(node).__name__, repr(node).split(" at ")[0], node(T.ones(2))[0]

    same(program)


def test_gradient_edges():
    def program(T):
        x = leaf(T)
        y = x * 2
        place, end = T.autograd.graph.get_gradient_edge(y), T.autograd.graph.get_gradient_edge(x)
        return (
            place.node.name(),
            place.output_nr,
            T.autograd.grad((y * y).sum(), place, retain_graph=True),
            T.autograd.grad((y * y).sum(), end, retain_graph=True),
            T.autograd.grad(place, x, T.ones(2)),
        )

    same(program)
    same(lambda T: T.autograd.graph.get_gradient_edge(T.ones(1)))


@pytest.mark.parametrize("mode", ["all", "any"])
def test_multi_grad_hooks(mode):
    def program(T):
        a, b, log = leaf(T), leaf(T), []
        handle = T.autograd.graph.register_multi_grad_hook([a, b], lambda g: log.append(g), mode=mode)
        (a + b * 2).sum().backward()
        (a * 3).sum().backward()
        handle.remove()
        a.sum().backward()
        return log

    same(program)


def test_saved_tensor_hooks():
    def program(T):
        x, log = leaf(T), []

        def pack(t):
            log.append(("pack", tuple(t.shape)))
            return t * 1

        def unpack(t):
            log.append("unpack")
            return t

        with T.autograd.graph.saved_tensors_hooks(pack, unpack):
            y = (x * x).exp().sum()
        with T.autograd.graph.save_on_cpu():
            z = (x * x).sum()
        (y + z).backward()
        return log, x.grad

    same(program)
    with pytest.raises(RuntimeError, match="not here"):
        with rushlight.autograd.graph.disable_saved_tensors_hooks("not here"):
            with rushlight.autograd.graph.save_on_cpu():
                pass


def test_increment_version():
    def program(T):
        x = leaf(T) * 1
        y = x * x
        T.autograd.graph.increment_version(x)
        version = x._version
        return version, y.sum().backward()

    same(program)


def test_variable():
    def program(T):
        v = T.autograd.Variable(T.ones(2), requires_grad=True)
        return v, isinstance(v, T.autograd.Variable), isinstance(1, T.autograd.Variable)

    same(program)


# ---- errors that name what went wrong ----


def test_the_error_names_the_line_that_wrote(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import rushlight as torch\n"
        "x = torch.ones(3, requires_grad=True)\n"
        "a = x * 1\n"
        "y = a * a\n"
        "a[1:].zero_()\n"
        "y.sum().backward()\n"
    )
    with pytest.raises(RuntimeError) as caught:
        exec(compile(program.read_text(), str(program), "exec"), {})
    assert f"{program}, line 5" in str(caught.value)
    assert "has been modified by an inplace operation: [torch.FloatTensor [3]]" in str(caught.value)


def test_anomaly_detection_names_the_forward_line():
    x = leaf(rushlight)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(
            RuntimeError, match="Function 'SqrtBackward0' returned nan values in its 0th output"
        ):
            with rushlight.autograd.detect_anomaly():
                (rushlight.sqrt(x * 0) * 0).sum().backward()
    said = "".join(str(w.message) for w in caught)
    assert "Error detected in SqrtBackward0" in said and "rushlight.sqrt(x * 0)" in said
    assert not rushlight.is_anomaly_enabled()


# ---- depth ----


@pytest.mark.parametrize("depth", [100_000])
def test_deep_graphs_run_and_are_freed(depth):
    x = rushlight.tensor([1.0, 2.0], requires_grad=True)
    y = x
    for _ in range(depth):
        y = y * 1.0
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]
    z = x
    for n in range(depth // 10):
        a, b = z.unbind(0)
        z = rushlight.stack([b, a]).exp() if n % 2 else rushlight.stack([a, b]) * 1e-3
    v = x * 1
    for _ in range(depth // 50):
        v[:1].mul_(1.0)
    v.sum().backward()
    del y, z, a, b, v
    gc.collect()


# ---- backward within backward, threads, errors on the way ----


def test_backward_inside_backward():
    def program(T):
        class Squared(T.autograd.Function):
            @staticmethod
            def forward(ctx, a):
                ctx.save_for_backward(a)
                return a * a

            @staticmethod
            def backward(ctx, g):
                with T.enable_grad():
                    a = ctx.saved_tensors[0].detach().requires_grad_()
                    (a * a).sum().backward()
                return g * a.grad

        x = leaf(T)
        Squared.apply(x).sum().backward()
        return x.grad, T.is_grad_enabled()

    same(program)


def test_threads_take_derivatives_at_once():
    wrong = []

    def work():
        for _ in range(100):
            w = rushlight.ones(3, requires_grad=True)
            (w * w).exp().sum().backward()
            if abs(w.grad[0].item() - 5.436563) > 1e-4:
                wrong.append(w.grad)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_failing_hook_leaves_the_modes_as_they_were():
    x = leaf(rushlight)
    x.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        x.sum().backward()
    assert rushlight.is_grad_enabled() and x.grad is None


# ---- nodes that run for a gradient that is retained ----

RETAINED = {
    "alone": lambda T, x, y: y.sum().backward(inputs=[y]),
    "with a leaf": lambda T, x, y: y.sum().backward(inputs=[y, x]),
    "twice": lambda T, x, y: [y.sum().backward(inputs=[y]) for _ in range(2)],
    "overwritten": lambda T, x, y: (x.detach().mul_(2), y.sum().backward(inputs=[y])),
    "of a mask": lambda T, x, y: [
        z.sum().backward(inputs=[z]) or z.grad for z in [T.atan2(x.detach() > 1, x)]
    ],
    "not implemented": lambda T, x, y: [z.sum().backward(inputs=[z]) for z in [x // 2.0]],
}


@pytest.mark.parametrize("program", RETAINED)
def test_nodes_behind_which_nothing_is_wanted(program):
    def run(T):
        x, seen = leaf(T), []
        y = x * x
        y.grad_fn.register_prehook(lambda g: seen.append(("before", g[0])))
        y.grad_fn.register_hook(lambda before, after: seen.append(("after", before[0], after[0])))
        made = RETAINED[program](T, x, y)
        return made, seen, y.grad, x.grad

    same(run)


# ---- gradients between real and complex numbers ----

MIXED = {
    "mul": lambda T, x, c: x * c,
    "add, number": lambda T, x, c: x + 1j,
    "mm": lambda T, x, c: T.mm(x.to(T.complex128)[None], c[:, None]),
    "where": lambda T, x, c: T.where(T.tensor([True, False]), x, c),
    "where, number": lambda T, x, c: T.where(T.tensor([True, False]), x, 1j),
    "masked_fill": lambda T, x, c: c.masked_fill(T.tensor([True, False]), x[0]),
    "masked_fill_": lambda T, x, c: (c * 1).masked_fill_(T.tensor([True, False]), x[0]),
    "fill": lambda T, x, c: T.fill(c, x[0]),
    "fill_": lambda T, x, c: (c * 1).fill_(x[0]),
    "index_fill": lambda T, x, c: c.index_fill(0, T.tensor([1]), x[0]),
    "write by mask": lambda T, x, c: _written(c * 1, T.tensor([True, False]), x[0]),
    "write of a part": lambda T, x, c: _written(c * 1, 0, x[0]),
    "sum": lambda T, x, c: x.sum(dtype=T.complex128),
    "sum of rows": lambda T, x, c: x.sum(0, dtype=T.complex128),
    "mean": lambda T, x, c: x.mean(dtype=T.complex128),
    "mean of rows": lambda T, x, c: x.mean(0, dtype=T.complex128),
    "prod": lambda T, x, c: x.prod(dtype=T.complex128),
    "prod of rows": lambda T, x, c: x.prod(0, dtype=T.complex128),
    "cumsum": lambda T, x, c: x.cumsum(0, dtype=T.complex128),
    "cumprod": lambda T, x, c: x.cumprod(0, dtype=T.complex128),
    "dist": lambda T, x, c: T.dist(x, c),
    "addr": lambda T, x, c: T.addr(x, c, c),
    "addcmul": lambda T, x, c: T.addcmul(x, c, c),
    "logaddexp": lambda T, x, c: T.logaddexp(x, c),
    "ldexp": lambda T, x, c: T.ldexp(x, c),
    "diagonal_scatter": lambda T, x, c: c.expand(2, 2).diagonal_scatter(x),
    "as_strided_scatter": lambda T, x, c: c.as_strided_scatter(x, (2,), (1,)),
    "cat": lambda T, x, c: T.cat([x, c]),
}


def _written(x, index, value):
    x[index] = value
    return x


@pytest.mark.parametrize("operation", MIXED)
def test_complex_gradients_of_real_inputs(operation):
    """Most formulas take the real part; those that do not have the gradient refused."""

    def program(T):
        x = leaf(T, 0.5, 2.0).detach().requires_grad_()
        c = T.tensor([1 + 1j, 2 - 1j], dtype=T.complex128, requires_grad=True)
        made = MIXED[operation](T, x, c)
        (made.abs() if made.is_complex() else made).sum().backward()
        return made, made.grad_fn.name(), x.grad, c.grad

    same(program)


@pytest.mark.parametrize("operation", ["where", "addr", "write by mask"])
def test_of_gradients_that_are_refused_none_is_delivered(operation):
    def program(T):
        x = leaf(T, 0.5, 2.0).detach().requires_grad_()
        c = T.tensor([1 + 1j, 2 - 1j], dtype=T.complex128, requires_grad=True)
        with pytest.raises(RuntimeError, match="isFloatingType"):
            MIXED[operation](T, x, c).abs().sum().backward()
        return x.grad, c.grad

    same(program)


# ---- views that see complex numbers as pairs of reals ----

TURNS = {
    "real": lambda T, c: c.real.mul_(2),
    "imag": lambda T, c: c.imag[1:].mul_(3),
    "pairs": lambda T, c: T.view_as_real(c).mul_(2),
    "part of the pairs": lambda T, c: T.view_as_real(c)[1:, 0].mul_(3),
}


@pytest.mark.parametrize("turn", TURNS)
def test_writes_to_real_views_of_complex_tensors(turn):
    def program(T):
        x = T.arange(1.0, 4.0, dtype=T.float64).requires_grad_()
        c = T.complex(x, x * 2)
        before = c.real, T.view_as_real(c)
        TURNS[turn](T, c)
        (g,) = T.autograd.grad(
            (c.abs() ** 2).sum() + sum((v * v).sum() for v in before), x, create_graph=True
        )
        return g.detach(), T.autograd.grad((g * g).sum(), x)

    same(program)


def test_views_of_what_became_recorded():
    def program(T):
        c = T.ones(2, dtype=T.complex128)
        views = T.view_as_real(c), c[:1], T.view_as_real(c)[0]
        c.copy_(T.ones(2, dtype=T.complex128, requires_grad=True))
        return [v.grad_fn.name() for v in views]

    same(program)


def test_writes_to_complex_views_of_pairs():
    def program(T):
        x = T.ones(4, 2, dtype=T.float64, requires_grad=True)
        pairs = x * 2
        T.view_as_complex(pairs)[1:].mul_(1j)
        (pairs * T.arange(8.0).view(4, 2)).sum().backward()
        return x.grad

    same(program)


def test_tensors_of_inference_mode_count_no_writes():
    def program(T):
        with T.inference_mode():
            t = T.ones(2)
        return t._version

    same(program)


def test_gradients_of_zeros_have_gradients():
    def program(T):
        x, a = T.tensor(0.5, requires_grad=True), T.tensor(1.0, requires_grad=True)
        (first,) = T.autograd.grad(x * a, x, create_graph=True)
        (second,) = T.autograd.grad(first, x, create_graph=True, materialize_grads=True)
        (third,) = T.autograd.grad(second, x, materialize_grads=True)
        return second, second.requires_grad, third, third.requires_grad

    same(program)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_nodes_take_one_gradient_for_each_output(count):
    def program(T):
        x = T.ones(2, requires_grad=True)
        return (x**2).grad_fn(*[T.ones(2)] * count)

    same(program)


@pytest.mark.parametrize("cond", ["True", "False", "1", "None", "T.tensor(True)"])
def test_conditions_are_bools(cond):
    def program(T):
        return T._check(eval(cond))

    same(program)
