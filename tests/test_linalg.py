"""Linear algebra against PyTorch: values, gradients to second order, names, errors."""

import numpy as np
import pytest
import torch
from both import same

import rushlight

KINDS = ["float32", "float64", "complex64", "complex128"]
TOLERANCE = {"float32": 2e-4, "complex64": 2e-4, "float64": 1e-9, "complex128": 1e-9}


def matrices(shape, dtype="float64", seed=0):
    """Well-conditioned matrices, the same for both libraries."""
    draw = np.random.default_rng([seed, *shape])
    a = draw.standard_normal(shape)
    if "complex" in dtype:
        a = a + 1j * draw.standard_normal(shape)
    if len(shape) > 1:
        a = a + 3 * np.eye(*shape[-2:])
    return [lib.tensor(a.tolist(), dtype=getattr(lib, dtype)) for lib in (torch, rushlight)]


def array(t):
    return np.asarray(
        t.detach().resolve_conj().tolist() if isinstance(t, torch.Tensor) else t.detach().tolist()
    )


def positive(t):
    return t @ t.mT.conj()


def tensors(result):
    return list(result) if isinstance(result, tuple) else [result]


def seeded(t, a):
    """The matrix; the random one that it is multiplied with is the same for both libraries."""
    t.manual_seed(0)
    return a


#: name -> function of (library, matrix); all are unique, so that values can be compared
FUNCTIONS = {
    "inv": lambda t, a: t.linalg.inv(a),
    "inverse": lambda t, a: a.inverse(),
    "det": lambda t, a: t.linalg.det(a),
    "slogdet": lambda t, a: t.linalg.slogdet(a),
    "pinv": lambda t, a: t.linalg.pinv(a[..., :2]),
    "pinv wide": lambda t, a: t.linalg.pinv(a[..., :2, :]),
    "solve": lambda t, a: t.linalg.solve(a, a.flip(-1)),
    "solve vector": lambda t, a: t.linalg.solve(a, a[..., 0]),
    "solve right": lambda t, a: t.linalg.solve(a, a.flip(-1), left=False),
    "cholesky": lambda t, a: t.linalg.cholesky(positive(a)),
    "cholesky upper": lambda t, a: t.linalg.cholesky(positive(a), upper=True),
    "cholesky_inverse": lambda t, a: t.cholesky_inverse(t.linalg.cholesky(positive(a))),
    "cholesky_solve": lambda t, a: t.cholesky_solve(a, t.linalg.cholesky(positive(a))),
    "qr": lambda t, a: t.linalg.qr(a[..., :2]),
    "qr wide": lambda t, a: t.linalg.qr(a[..., :2, :]),
    "svdvals": lambda t, a: t.linalg.svdvals(a),
    "svd product": lambda t, a: (lambda u, s, v: u[..., :2] @ v[..., :2, :])(
        *t.linalg.svd(a, full_matrices=False)
    ),
    "eigvalsh": lambda t, a: t.linalg.eigvalsh(positive(a)),
    "eigh product": lambda t, a: (lambda w, v: v[..., :1] @ v[..., :1].mT.conj())(
        *t.linalg.eigh(positive(a))
    ),
    "lu": lambda t, a: t.linalg.lu(a),
    "lu wide": lambda t, a: t.linalg.lu(a[..., :2, :]),
    "lu tall": lambda t, a: t.linalg.lu(a[..., :2]),
    "lu_factor": lambda t, a: t.linalg.lu_factor(a),
    "lu_unpack": lambda t, a: t.lu_unpack(*t.linalg.lu_factor(a)),
    "lu_unpack wide": lambda t, a: t.lu_unpack(*t.linalg.lu_factor(a[..., :2, :])),
    "lu_unpack tall": lambda t, a: t.lu_unpack(*t.linalg.lu_factor(a[..., :2])),
    "old lu": lambda t, a: t.lu(a),
    "old lu with infos": lambda t, a: a.lu(get_infos=True),
    "lu_solve": lambda t, a: t.lu_solve(a.flip(-1), *t.linalg.lu_factor(a)),
    "lu_solve adjoint": lambda t, a: t.linalg.lu_solve(*t.linalg.lu_factor(a), a.flip(-1), adjoint=True),
    "ormqr": lambda t, a: t.ormqr(a[..., :2], a[..., 2, :2] * 0.1, a.flip(-1)),
    "ormqr right": lambda t, a: t.ormqr(a[..., :2], a[..., 2, :2] * 0.1, a.flip(-1), left=False),
    "ormqr adjoint": lambda t, a: a[..., :2].ormqr(a[..., 2, :2] * 0.1, a.flip(-1), transpose=True),
    "ormqr right adjoint": lambda t, a: t.ormqr(a[..., :2], a[..., 2, :2] * 0.1, a.flip(-1), False, True),
    "householder_product": lambda t, a: t.linalg.householder_product(a[..., :2], a[..., 2, :2] * 0.1),
    "svd_lowrank": lambda t, a: t.svd_lowrank(seeded(t, a), 2)[1],
    "svd_lowrank wide": lambda t, a: t.svd_lowrank(
        seeded(t, a)[..., :2, :], 2, niter=3, M=a[..., :1, :] * 0.1
    )[1],
    "pca_lowrank": lambda t, a: t.pca_lowrank(seeded(t, a), 2)[1],
    "pca_lowrank not centred": lambda t, a: t.pca_lowrank(seeded(t, a), center=False, niter=1)[1],
    "solve_triangular": lambda t, a: t.linalg.solve_triangular(a.triu(), a.flip(-1), upper=True),
    "solve_triangular lower": lambda t, a: t.linalg.solve_triangular(a.tril(), a, upper=False, left=False),
    "matrix_exp": lambda t, a: t.linalg.matrix_exp(a * 0.3),
    "matrix_power": lambda t, a: t.linalg.matrix_power(a, -2),
    "lstsq": lambda t, a: t.linalg.lstsq(a[..., :2], a[..., 2:]).solution,
    "norm": lambda t, a: t.linalg.norm(a),
    "matrix_norm nuc": lambda t, a: t.linalg.matrix_norm(a, "nuc"),
    "matrix_norm 1": lambda t, a: t.linalg.matrix_norm(a, 1),
    "matrix_norm -inf": lambda t, a: t.linalg.matrix_norm(a, -float("inf")),
    "matrix_norm 2": lambda t, a: t.linalg.matrix_norm(a, 2),
    "vector_norm": lambda t, a: t.linalg.vector_norm(a, 3, dim=-1),
    "cond": lambda t, a: t.linalg.cond(a),
    "vecdot": lambda t, a: t.linalg.vecdot(a, a.flip(0)),
    "cross": lambda t, a: t.linalg.cross(a, a.flip(0)),
    "vander": lambda t, a: t.linalg.vander(a[..., 0]),
}


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3)])
def test_values(name, shape, dtype):
    expected, got = (
        tensors(FUNCTIONS[name](lib, a)) for lib, a in zip((torch, rushlight), matrices(shape, dtype))
    )
    assert len(expected) == len(got)
    for e, g in zip(expected, got):
        assert tuple(g.shape) == tuple(e.shape)
        assert str(g.dtype) == str(e.dtype)
        np.testing.assert_allclose(array(g), array(e), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_to_second_order(name, dtype):
    found = []
    for lib, a in zip((torch, rushlight), matrices((2, 3, 3), dtype, 1)):
        a = a.requires_grad_()
        outs = [t for t in tensors(FUNCTIONS[name](lib, a)) if t.requires_grad]
        total = sum((t * t.conj()).real.sum() + (t * (n + 1)).real.sum() for n, t in enumerate(outs))
        (first,) = lib.autograd.grad(total, a, create_graph=True)
        (second,) = lib.autograd.grad((first * first.conj()).real.sum(), a)
        found.append((first, second))
    for expected, got in zip(*found):
        np.testing.assert_allclose(array(got), array(expected), rtol=1e-5, atol=1e-5)


def test_node_names():
    for name in (
        "inv",
        "det",
        "slogdet",
        "cholesky",
        "qr",
        "svdvals",
        "eigvalsh",
        "lu",
        "lu_factor",
        "pinv",
        "solve",
        "matrix_exp",
    ):
        outs = [
            tensors(FUNCTIONS[name](lib, a.requires_grad_()))
            for lib, a in zip((torch, rushlight), matrices((3, 3)))
        ]
        for expected, got in zip(*outs):
            assert type(got.grad_fn).__name__ == type(expected.grad_fn).__name__, name


def test_decompositions_rebuild_their_matrix():
    a = matrices((4, 5, 3))[1]
    u, s, vh = rushlight.linalg.svd(a)
    assert u.shape == (4, 5, 5) and vh.shape == (4, 3, 3)
    assert rushlight.allclose(u[..., :3] * s.unsqueeze(-2) @ vh, a)
    q, r = rushlight.linalg.qr(a, mode="complete")
    assert rushlight.allclose(q @ r, a)
    b = matrices((4, 5, 5))[1]
    w, v = rushlight.linalg.eig(b)
    assert rushlight.allclose(b.to(v.dtype) @ v, v * w.unsqueeze(-2))
    p, l, u = rushlight.linalg.lu(matrices((130, 100))[1])
    assert rushlight.allclose(p @ l @ u, matrices((130, 100))[1])


def test_lu_solve():
    a, b = matrices((2, 4, 4))[1], matrices((2, 4, 3), seed=2)[1]
    factors = rushlight.linalg.lu_factor(a)
    assert rushlight.allclose(a @ rushlight.linalg.lu_solve(*factors, b), b)
    assert rushlight.allclose(a.mT @ rushlight.linalg.lu_solve(*factors, b, adjoint=True), b)
    assert rushlight.allclose(rushlight.linalg.lu_solve(*factors, b.mT, left=False) @ a, b.mT)


def symmetric(n, dtype, seed=0):
    draw = np.random.default_rng([seed, n])
    a = draw.standard_normal((2, n, n))
    if "complex" in dtype:
        a = a + 1j * draw.standard_normal((2, n, n))
    a[1, np.arange(n), np.arange(n)] = 0  # blocks of two rows
    return a.astype(dtype)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("hermitian", [False, True])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 6, 25, 80])
def test_ldl_is_lapacks(n, hermitian, dtype):
    """Factors and pivots to the sign; and they solve what they should."""
    a, b = symmetric(n, dtype), symmetric(n, dtype, 1)[..., :3]
    wanted, found = (
        lib.linalg.ldl_factor_ex(lib.tensor(a), hermitian=hermitian) for lib in (torch, rushlight)
    )
    assert found.pivots.tolist() == wanted.pivots.tolist() and found.info.tolist() == wanted.info.tolist()
    np.testing.assert_allclose(
        array(found.LD).reshape(a.shape), array(wanted.LD).reshape(a.shape), rtol=1e-7, atol=1e-8
    )
    assert found.LD.stride() == wanted.LD.stride()
    if n != 1:  # the second matrix of one row is zero
        x = array(rushlight.linalg.ldl_solve(*found[:2], rushlight.tensor(b), hermitian=hermitian)).reshape(
            b.shape
        )
        turn = np.conj if hermitian else np.asarray
        low = np.tril(a, -1)
        diagonal = np.einsum("bii->bi", a)
        whole = (
            low + turn(low).swapaxes(1, 2) + np.eye(n) * (diagonal.real if hermitian else diagonal)[:, None]
        )
        np.testing.assert_allclose(whole @ x, b, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("hermitian", [False, True])
def test_ldl_solve_has_a_gradient_for_the_right_side(hermitian, dtype):
    a = rushlight.tensor(symmetric(4, dtype))
    factors = rushlight.linalg.ldl_factor(a, hermitian=hermitian)
    b = rushlight.tensor(symmetric(4, dtype, 2)).requires_grad_()
    assert rushlight.autograd.gradcheck(
        lambda b: rushlight.linalg.ldl_solve(*factors, b, hermitian=hermitian), b
    )
    assert rushlight.autograd.gradgradcheck(
        lambda b: rushlight.linalg.ldl_solve(*factors, b, hermitian=hermitian), b
    )
    with pytest.raises(NotImplementedError, match="linalg_ldl_factor_ex"):
        rushlight.linalg.ldl_factor(a.requires_grad_()).LD.abs().sum().backward()


def test_ldl_of_singular_matrices_and_of_pivots_that_are_none():
    with pytest.raises(rushlight.linalg.LinAlgError, match=r"Batch element 1\): D\[1,1\] is zero"):
        rushlight.linalg.ldl_factor(rushlight.stack([rushlight.eye(2), rushlight.zeros(2, 2)]))
    with pytest.raises(rushlight.linalg.LinAlgError):
        rushlight.linalg.ldl_factor_ex(rushlight.zeros(2, 2), check_errors=True)
    for wrong in ([0, 1], [3, 1], [-1, 2], [1, -1], [-4, -4]):
        with pytest.raises(RuntimeError, match="not those of a factorisation"):
            rushlight.linalg.ldl_solve(
                rushlight.eye(2), rushlight.tensor(wrong, dtype=rushlight.int32), rushlight.eye(2)
            )
    for wrong in ([0, 1], [3, 1]):
        with pytest.raises(RuntimeError, match="between 1 and"):
            rushlight.linalg.lu_solve(
                rushlight.eye(2), rushlight.tensor(wrong, dtype=rushlight.int32), rushlight.eye(2)
            )


@pytest.mark.parametrize("given", [{"q": 5}, {"q": -1}, {"niter": -1}])
def test_pca_refuses(given):
    messages = []
    for lib in (torch, rushlight):
        with pytest.raises(ValueError) as caught:
            lib.pca_lowrank(lib.ones(4, 3), **given)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_low_rank_products():
    x = rushlight.randn(2, 40, 3, dtype=rushlight.float64) @ rushlight.randn(
        2, 3, 30, dtype=rushlight.float64
    )
    for a in (x, x.mT):
        u, s, v = rushlight.svd_lowrank(a, 5)
        assert rushlight.allclose(u * s.unsqueeze(-2) @ v.mT, a) and s.shape == (2, 5)


def test_determinant_of_a_singular_matrix_has_a_gradient():
    values = [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 5.0]]
    a = rushlight.tensor(values, dtype=rushlight.float64, requires_grad=True)
    rushlight.linalg.det(a).backward()
    # PyTorch gives zeros here; the gradient is the matrix of cofactors.
    np.testing.assert_allclose(array(a.grad), [[20, -4, -4], [-10, 2, 2], [0, 0, 0]], atol=1e-8)


# ---- errors ----

WRONG = {
    "inv singular": lambda t: t.linalg.inv(t.zeros(2, 2)),
    "inv batch": lambda t: t.linalg.inv(t.stack([t.eye(2), t.zeros(2, 2)])),
    "inv integers": lambda t: t.linalg.inv(t.ones(2, 2, dtype=t.int64)),
    "inv half": lambda t: t.linalg.inv(t.ones(2, 2, dtype=t.float16)),
    "inv rectangle": lambda t: t.linalg.inv(t.ones(2, 3)),
    "inv vector": lambda t: t.linalg.inv(t.ones(2)),
    "det rectangle": lambda t: t.linalg.det(t.ones(2, 3)),
    "solve singular": lambda t: t.linalg.solve(t.zeros(2, 2), t.ones(2, 2)),
    "solve sizes": lambda t: t.linalg.solve(t.eye(2), t.ones(3)),
    "solve dtypes": lambda t: t.linalg.solve(t.eye(2), t.ones(2, dtype=t.float64)),
    "cholesky": lambda t: t.linalg.cholesky(-t.eye(2)),
    "cholesky batch": lambda t: t.linalg.cholesky(t.stack([t.eye(2), -t.eye(2)])),
    "qr mode": lambda t: t.linalg.qr(t.ones(2, 2), mode="x"),
    "eigh uplo": lambda t: t.linalg.eigh(t.eye(2), UPLO="x"),
    "svd nan": lambda t: t.linalg.svd(t.full((2, 2), float("nan"))),
    "lu_factor": lambda t: t.linalg.lu_factor(t.zeros(2, 2)),
    "lu_solve vector": lambda t: t.lu_solve(t.ones(2), *t.linalg.lu_factor(t.eye(2))),
    "lu_solve sizes": lambda t: t.lu_solve(t.ones(3, 1), *t.linalg.lu_factor(t.eye(2))),
    "lu_solve dtypes": lambda t: t.lu_solve(t.ones(2, 1, dtype=t.float64), *t.linalg.lu_factor(t.eye(2))),
    "lu_solve pivots": lambda t: t.linalg.lu_solve(t.eye(2), t.tensor([1, 2]), t.ones(2, 1)),
    "lu_solve few pivots": lambda t: t.linalg.lu_solve(t.eye(2), t.tensor([1], dtype=t.int32), t.ones(2, 1)),
    "lu_unpack vector": lambda t: t.lu_unpack(t.ones(2), t.tensor([1, 2], dtype=t.int32)),
    "lu_unpack pivots": lambda t: t.lu_unpack(t.eye(2), t.tensor([1, 2])),
    "lu_unpack range": lambda t: t.lu_unpack(t.eye(2), t.tensor([1, 3], dtype=t.int32)),
    "ldl rectangle": lambda t: t.linalg.ldl_factor(t.ones(2, 3)),
    "ldl vector": lambda t: t.linalg.ldl_factor(t.ones(2)),
    "ldl integers": lambda t: t.linalg.ldl_factor(t.ones(2, 2, dtype=t.int64)),
    "ldl half": lambda t: t.linalg.ldl_factor(t.ones(2, 2, dtype=t.float16)),
    "ldl_solve sizes": lambda t: t.linalg.ldl_solve(*t.linalg.ldl_factor(t.eye(2)), t.ones(3, 1)),
    "ldl_solve dtypes": lambda t: t.linalg.ldl_solve(*t.linalg.ldl_factor(t.eye(2)), t.ones(2, 1).double()),
    "ldl_solve pivots": lambda t: t.linalg.ldl_solve(t.eye(2), t.ones(2), t.ones(2, 1)),
    "ldl_solve few pivots": lambda t: t.linalg.ldl_solve(t.eye(2), t.ones(1, dtype=t.int32), t.ones(2, 1)),
    "ormqr input": lambda t: t.ormqr(t.ones(2), t.ones(2), t.ones(2, 2)),
    "ormqr other": lambda t: t.ormqr(t.ones(2, 2), t.ones(2), t.ones(2)),
    "ormqr tau": lambda t: t.ormqr(t.ones(2, 2), t.ones(3), t.ones(2, 2)),
    "ormqr rows": lambda t: t.ormqr(t.ones(4, 3), t.ones(3), t.ones(3, 2)),
    "ormqr batch": lambda t: t.ormqr(t.ones(2, 4, 3), t.ones(2, 3), t.ones(3, 4, 2)),
    "ormqr tau batch": lambda t: t.ormqr(t.ones(2, 4, 3), t.ones(3, 3), t.ones(2, 4, 2)),
    "ormqr ranks": lambda t: t.ormqr(t.ones(4, 3), t.ones(2, 3), t.ones(4, 2)),
    "ormqr dtypes": lambda t: t.ormqr(t.ones(4, 3), t.ones(3).double(), t.ones(4, 2)),
    "norm order": lambda t: t.linalg.matrix_norm(t.ones(2, 2), 3),
    "norm dims": lambda t: t.linalg.matrix_norm(t.ones(2, 2), dim=(0, 0)),
    "norm 3-D": lambda t: t.linalg.norm(t.ones(2, 2, 2), 2),
    "power": lambda t: t.matrix_power(t.zeros(2, 2), -1),
    "tensorinv": lambda t: t.linalg.tensorinv(t.ones(2, 3)),
    "cond": lambda t: t.linalg.cond(t.ones(2, 2), "x"),
    "vander": lambda t: t.linalg.vander(t.ones(2), N=0),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_have_pytorchs_words(name):
    messages = []
    for lib in (torch, rushlight):
        with pytest.raises(RuntimeError) as caught:
            WRONG[name](lib)
        linear = isinstance(caught.value, lib.linalg.LinAlgError)
        messages.append((linear, str(caught.value).splitlines()[0]))
    assert messages[1] == messages[0]


def test_empty_matrices():
    for name in ("inv", "det", "qr", "svd", "eigh"):
        expected, got = (tensors(getattr(lib.linalg, name)(lib.ones(0, 0))) for lib in (torch, rushlight))
        assert [tuple(t.shape) for t in got] == [tuple(t.shape) for t in expected]


def test_solutions_lie_in_columns():
    """As LAPACK leaves them; an `out` that is resized is laid out like the result, or in rows where PyTorch copies to it."""

    def program(T):
        a = T.tensor([[4.0, 0, 0], [1, 5, 0], [2, 3, 6]]).expand(2, 3, 3).clone()
        b = T.arange(12.0).view(2, 3, 2)
        lu, pivots = T.linalg.lu_factor(a)
        calls = [
            (T.triangular_solve, (b, a), {"upper": False}),
            (T.triangular_solve, (b[0], a[0]), {"upper": False, "transpose": True}),
            (T.triangular_solve, (b, a[0]), {"upper": False}),
            (T.cholesky_solve, (b, a), {}),
            (T.lu_solve, (b, lu, pivots), {}),
            (T.quantile, (b, T.tensor([0.25, 0.5])), {"dim": 0}),
            (T.nanquantile, (b, T.tensor([0.25, 0.5])), {"dim": 1}),
        ]
        for adjoint in (False, True):
            calls += [
                (T.linalg.lu_solve, (lu, pivots, b), {"adjoint": adjoint}),
                (T.linalg.lu_solve, (lu, pivots, b.mT), {"adjoint": adjoint, "left": False}),
            ]
        steps = []
        for function, given, options in calls:
            made = function(*given, **options)
            several = not isinstance(made, T.Tensor)
            out = tuple([T.empty(0) for _ in made]) if several else T.empty(0)
            function(*given, **options, out=out)
            steps.append([t.stride() for pair in (made, out) for t in (pair if several else [pair])])
        return steps

    assert program(rushlight) == program(torch)


@pytest.mark.parametrize("kind", ["int64", "bool", "float16", "bfloat16"])
@pytest.mark.parametrize("rows", [2, 3])
def test_lu_solve_refuses_types(kind, rows):
    def program(T):
        a = T.ones(2, rows).to(getattr(T, kind))
        return T.linalg.lu_solve(a, T.tensor([1, 2], dtype=T.int32), T.ones(2, 2).to(a.dtype))

    same(program)


@pytest.mark.parametrize("driver", [None, "gels", "gelsy", "gelsd", "gelss"])
@pytest.mark.parametrize(
    "shapes",
    [
        ((1, 3, 3), (2, 3, 3)),
        ((4, 1, 5, 3), (1, 2, 5, 2)),
        ((2, 5, 3), (2, 5)),
        ((3, 3), (2, 3, 3)),
        ((2, 2, 3, 3), (3, 3)),
    ],
    ids=str,
)
def test_ranks_are_of_the_matrices(driver: str | None, shapes: tuple) -> None:
    def program(T):
        a, b = T.ones(shapes[0]) + T.eye(*shapes[0][-2:]), T.ones(shapes[1])
        found = T.linalg.lstsq(a, b, driver=driver)
        return [tuple(part.shape) for part in found], found.rank

    same(program)


@pytest.mark.parametrize(
    "options",
    [{}, {"k": 2}, {"k": 3, "largest": False}, {"k": 2, "B": True}, {"X": True}, {"k": 2, "batch": True}],
    ids=str,
)
def test_lobpcg(options: dict) -> None:
    def program(T):
        T.manual_seed(0)
        a = T.randn(12, 12, dtype=T.float64)
        b = T.randn(12, 12, dtype=T.float64)
        a, b = a @ a.T + T.eye(12), b @ b.T + 5 * T.eye(12)
        given = dict(options)
        if given.pop("batch", False):
            a = T.stack([a, 2 * a])
        if given.pop("B", False):
            given["B"] = b
        if given.pop("X", False):
            given["X"] = T.randn(12, 2, dtype=T.float64)
        values, vectors = T.lobpcg(a, **given)
        right = vectors * values.unsqueeze(-2)
        left = a @ vectors - (given["B"] @ right if "B" in given else right)
        # values to the four digits that iterations reach; vectors may have either sign
        return (
            [f"{value:.4g}" for value in values.flatten().tolist()],
            vectors.shape,
            bool(left.abs().max() < 1e-3),
        )

    same(program)


def test_lobpcg_refuses() -> None:
    same(lambda T: T.lobpcg(T.ones(3, 4)))
    same(lambda T: T.lobpcg(T.eye(3), k=2))
    with pytest.raises(NotImplementedError, match="tracker"):
        rushlight.lobpcg(rushlight.eye(9), tracker=print)


def test_gradient_of_lobpcg() -> None:
    a = rushlight.diag(rushlight.arange(1.0, 10.0, dtype=rushlight.float64)).requires_grad_()
    values, _ = rushlight.lobpcg(a, k=2)
    values.sum().backward()
    assert a.grad.diag().tolist() == [0] * 7 + [1, 1]
