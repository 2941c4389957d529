"""The source of random words: MT19937 as PyTorch's CPU generator seeds, draws and stores it.

The engine is Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8 (1998), seeded by their `init_genrand` of 2002. NumPy's bit generator of the
same name runs it in C; this module translates seeds, states and draws.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

DEFAULT_SEED = 67280421310721
WORDS = 624
#: so many words are drawn without `numpy.random.Generator`, whose checks of the bounds take longer
FEW = 64

# Note [State layout]
# PyTorch saves a C struct whose fields are wider than the engine needs: the seed, `left` (words left before the next twist, counted one too many),
# `seeded`, `next` (index of the next word), 624 words of 64 bits, then the normal sample held back, once in double and once in float.
# `left + next` is 625 at every moment but one: a freshly seeded engine has left=1 and next=0, which means "twist before the first word".
STATE = np.dtype(
    {
        "names": [
            "seed",
            "left",
            "seeded",
            "next",
            "words",
            "normal",
            "has_normal",
            "float_normal",
            "has_float_normal",
        ],
        "formats": ["<u8", "<i4", "<i4", "<u8", ("<u8", WORDS), "<f8", "<i4", "<f4", "?"],
        "offsets": [0, 8, 12, 16, 24, 5024, 5040, 5048, 5052],
        "itemsize": 5056,
    }
)


class Generator:
    """A stream of random words that equals `torch.Generator("cpu")`'s for every seed and state.

    >>> g = Generator().manual_seed(0)
    >>> g.initial_seed(), g.words(2).tolist()
    (0, [2357136044, 2546248239])
    """

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        self._engine: Any = None
        self.manual_seed(seed)

    # ---- seeds ----

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of `seed`, an integer in [-2**63, 2**64); negative seeds wrap. Returns the generator itself."""
        if type(seed) is not int:
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        self._seed = seed % 2**64
        self._due = True
        self._fresh = True
        self.held_normal: float | None = None
        self._held_float_normal: float | None = None
        return self

    def initial_seed(self) -> int:
        """The seed the stream began with, in [0, 2**64)."""
        return self._seed

    def seed(self) -> int:
        """Start a stream nobody can foresee, and return its seed."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    # ---- words ----

    def words(self, n: int) -> np.ndarray:
        """The next `n` random words, as uint32."""
        if n:
            self._fresh = False
        self._start()
        if n <= FEW:
            return self._engine.random_raw(n).astype(np.uint32)
        return self._draw.integers(0, 2**32, n, dtype=np.uint32)

    def words64(self, n: int) -> np.ndarray:
        """The next `n` double words, as uint64; the first word of each pair is the high half."""
        pairs = self.words(2 * n)
        return (pairs[0::2].astype(np.uint64) << np.uint64(32)) | pairs[1::2]

    def random(self) -> int:
        """The next random word."""
        return int(self.words(1)[0])

    def random64(self) -> int:
        """The next double word."""
        return int(self.words64(1)[0])

    def double(self) -> float:
        """One float64 in [0, 1), as `doubles` has them, without an array."""
        self._fresh = False
        self._start()
        high, low = self._engine.random_raw(2).tolist()
        return ((high << 32 | low) & (2**53 - 1)) * 2.0**-53

    def floats(self, n: int) -> np.ndarray:
        """`n` float32 in [0, 1): the low 24 bits of one word each."""
        x = (self.words(n) & np.uint32(2**24 - 1)).astype(np.float32)
        x *= np.float32(2.0**-24)
        return x

    def doubles(self, n: int) -> np.ndarray:
        """`n` float64 in [0, 1): the low 53 bits of a double word each."""
        x = (self.words64(n) & np.uint64(2**53 - 1)).astype(np.float64)
        x *= 2.0**-53
        return x

    # ---- state ----

    def get_state(self) -> np.ndarray:
        """Everything that decides the words to come: 5056 bytes, laid out as PyTorch saves them."""
        state = np.zeros((), STATE)
        self._start()
        engine = self._engine.state["state"]
        state["seed"], state["seeded"], state["words"] = self._seed, 1, engine["key"]
        state["next"] = 0 if self._fresh else engine["pos"]
        state["left"] = 1 if self._fresh else WORDS + 1 - engine["pos"]
        _hold(state, "normal", "has_normal", self.held_normal)
        _hold(state, "float_normal", "has_float_normal", self._held_float_normal)
        return np.frombuffer(state.tobytes(), np.uint8).copy()

    def set_state(self, state: np.ndarray) -> Generator:
        """Continue from `state`, a uint8 array that `get_state` or `torch.get_rng_state` returned."""
        saved = _decoded(state)
        self._fresh = bool(saved["next"] == 0)
        self._set_engine(saved["words"].astype(np.uint32), WORDS if self._fresh else int(saved["next"]))
        self._seed = int(saved["seed"])
        self.held_normal = float(saved["normal"]) if saved["has_normal"] else None
        self._held_float_normal = float(saved["float_normal"]) if saved["has_float_normal"] else None
        return self

    def clone_state(self) -> Generator:
        """A second generator that goes on from here on its own."""
        return Generator().set_state(self.get_state())

    def _start(self) -> None:
        """Seed the engine, if that is still due: until somebody draws, `numpy.random` need not be loaded."""
        if self._due:
            self._make_engine()
            # NumPy's oldest generator seeds as PyTorch does: init_genrand of Matsumoto and Nishimura's mt19937ar.c
            np.random.RandomState(self._engine).seed(self._seed & 0xFFFFFFFF)
            self._due = False

    def _make_engine(self) -> None:
        if self._engine is None:
            self._engine = np.random.MT19937()
            self._draw = np.random.Generator(self._engine)

    def _set_engine(self, words: np.ndarray, position: int) -> None:
        self._make_engine()
        self._due = False
        self._engine.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": position}}


class Doubles:
    """Uniform doubles one at a time, for algorithms that decide as they go how many they need.

    For many samples words are drawn in blocks; leaving the `with` block gives back the unread ones. That copies the engine's
    state twice, so that for few samples each word is drawn by itself.
    """

    BLOCK = 256
    #: up to this many samples
    FEW = 32

    def __init__(self, generator: Generator, samples: int) -> None:
        self._generator = generator
        self._in_blocks = samples > self.FEW

    def __enter__(self) -> Doubles:
        if self._in_blocks:
            self._refill()
        return self

    def __exit__(self, *exc: object) -> None:
        if not self._in_blocks:
            return
        held = self._generator.held_normal
        self._generator.set_state(self._before)
        self._generator.words(2 * self._read)
        self._generator.held_normal = held

    def __call__(self) -> float:
        if not self._in_blocks:
            return self._generator.double()
        if self._read == self.BLOCK:
            self._refill()
        self._read += 1
        return self._block[self._read - 1]

    def normal(self) -> float:
        """A standard normal double, from the generator's stream of pairs."""
        return next_normal(self._generator, self)

    def _refill(self) -> None:
        self._before = self._generator.get_state()
        self._block = self._generator.doubles(self.BLOCK).tolist()
        self._read = 0


def next_normal(generator: Generator, uniform: Callable[[], float]) -> float:
    """The standard normal double that was held back, or the first of a new pair."""
    held, generator.held_normal = generator.held_normal, None
    if held is not None:
        return held
    angle, radius = 2.0 * math.pi * uniform(), math.sqrt(-2.0 * math.log1p(-uniform()))
    generator.held_normal = radius * math.sin(angle)
    return radius * math.cos(angle)


def memory_order(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    """The dimensions from the slowest to the fastest, as PyTorch walks an output: `flat.reshape([shape[d] for d in order])` is `out.permute(order)`.

    >>> memory_order((5, 4), (1, 5))
    (1, 0)
    """
    order = list(range(len(shape)))
    # A dimension of one element has a stride that means nothing, so it moves past no other.
    for i in range(1, len(order)):
        for j in range(i, 0, -1):
            outer, inner = order[j - 1], order[j]
            if 1 in (shape[outer], shape[inner]) or strides[outer] >= strides[inner]:
                break
            order[j - 1], order[j] = inner, outer
    return tuple(order)


def _hold(state: np.ndarray, value: str, flag: str, held: float | None) -> None:
    if held is not None:
        state[value], state[flag] = held, True


def _decoded(state: np.ndarray) -> np.void:
    if not isinstance(state, np.ndarray) or state.dtype != np.uint8:
        raise TypeError("RNG state must be a torch.ByteTensor")
    if state.size != STATE.itemsize:
        raise RuntimeError(
            f"Expected a CPUGeneratorImplState of size {STATE.itemsize} but found the input RNG state size to be {state.size}"
        )
    saved = np.frombuffer(state.tobytes(), STATE)[0]
    left, following = int(saved["left"]), int(saved["next"])
    valid = saved["seeded"] and (
        left + following == WORDS + 1 and 0 < left <= WORDS or (left, following) == (1, 0)
    )
    if not valid:
        raise RuntimeError("Invalid mt19937 state")
    return saved
