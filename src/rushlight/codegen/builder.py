"""A builder of LLVM IR text: the verbs that the body of a loop, and the loops around it, are written with.

A value is a `V` (`values`): its name in the text, its kind (NumPy's character of an element type, "E" for bfloat16, "p" for a
pointer) and its number of lanes. Verbs work on scalars (one lane) and vectors alike, so a mathematical function is
written once. Arithmetic is exactly that of the kind: nothing is contracted, reassociated or assumed.

Control flow is made by context managers, so that the Python which writes a loop has the loop's shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rushlight.codegen.values import FLOATS, REGISTER, SIGNED, SIZES, UNSIGNED, V, literal, type_of

#: LLVM's suffixes of overloaded intrinsics
_SUFFIX = {"half": "f16", "float": "f32", "double": "f64"}
#: what the functions and stores above refer to by number
_TRAILER = "attributes #0 = { nounwind }\n!0 = !{i32 1}\n"


def _mangled(kind: str) -> str:
    """How a vector type is spelled in the name of an intrinsic: `<16 x float>` as `v16f32`."""
    lanes, element = kind[1:-1].split(" x ")
    return f"v{lanes}{_SUFFIX.get(element, element)}"


class Builder:
    """Writes one function.

    Attributes:
        lanes: the number of lanes of `const` and of what is loaded, unless told otherwise.
        masks: whether loads and stores of some lanes cost no more than those of all.
        declared: declarations of intrinsics and library functions that the text needs.
    """

    def __init__(self, lanes: int = 1) -> None:
        self.lanes = lanes
        self.lines: list[str] = []
        self.count = 0
        self.declared: set[str] = set()
        self.entry: list[str] = []  # allocas, which belong to the first block
        self.tables: dict[str, str] = {}  # the text of a constant table -> its name
        self.masks = False
        self.called: set[str] = set()  # functions of the module
        self.block = "entry"

    # ---- text ----

    def fresh(self, stem: str = "v") -> str:
        self.count += 1
        return f"%{stem}{self.count}"

    def emit(self, line: str) -> None:
        self.lines.append("  " + line)

    def define(self, text: str, kind: str, lanes: int) -> V:
        """A new value, computed by the instruction `text`."""
        name = self.fresh()
        self.lines.append(f"  {name} = {text}")
        return V(name, kind, lanes)

    # ---- constants ----

    def const(self, value: float | int | bool, kind: str, lanes: int = 0) -> V:
        """The same constant in all lanes."""
        lanes = lanes or self.lanes
        if kind in "eE":
            return self.cast(self.const(value, "f", lanes), kind)
        text = literal(value, kind)
        if lanes > 1:
            text = f"splat ({REGISTER[kind]} {text})"
        return V(text, kind, lanes)

    def like(self, value: float | int | bool, x: V) -> V:
        """A constant of x's kind and lanes."""
        return self.const(value, x.kind, x.lanes)

    def integer(self, value: int) -> V:
        """A 64-bit scalar: a size, an index."""
        return V(str(value), "q", 1)

    # ---- arithmetic ----

    def _two(self, opcode: str, x: V, y: V, kind: str = "") -> V:
        assert x.kind == y.kind and x.lanes == y.lanes, (opcode, x, y)
        return self.define(f"{opcode} {x.type} {x.name}, {y.name}", kind or x.kind, x.lanes)

    def add(self, x: V, y: V) -> V:
        return self._two("fadd" if x.kind in FLOATS else "or" if x.kind == "?" else "add", x, y)

    def sub(self, x: V, y: V) -> V:
        return self._two("fsub" if x.kind in FLOATS else "sub", x, y)

    def mul(self, x: V, y: V) -> V:
        return self._two("fmul" if x.kind in FLOATS else "and" if x.kind == "?" else "mul", x, y)

    def div(self, x: V, y: V) -> V:
        """Of floats; of integers the quotient rounded towards zero, which the caller must know to be defined."""
        return self._two("fdiv" if x.kind in FLOATS else "sdiv" if x.kind in SIGNED else "udiv", x, y)

    def rem(self, x: V, y: V) -> V:
        """What `div` of integers leaves."""
        return self._two("srem" if x.kind in SIGNED else "urem", x, y)

    def frem(self, x: V, y: V) -> V:
        """What division of floats rounded towards zero leaves, exactly: C's `fmod`, a lane at a time."""
        return self._two("frem", x, y)

    def neg(self, x: V) -> V:
        if x.kind in FLOATS:
            return self.define(f"fneg {x.type} {x.name}", x.kind, x.lanes)
        return self.sub(self.like(0, x), x)

    def fma(self, x: V, y: V, z: V) -> V:
        """x * y + z, rounded once. For mathematical functions: an expression of the user's never uses it."""
        return self._intrinsic("fma", x, y, z)

    def and_(self, x: V, y: V) -> V:
        return self._two("and", x, y)

    def or_(self, x: V, y: V) -> V:
        return self._two("or", x, y)

    def xor(self, x: V, y: V) -> V:
        return self._two("xor", x, y)

    def not_(self, x: V) -> V:
        return self._two("xor", x, self.like(-1 if x.kind != "?" else True, x))

    def shl(self, x: V, y: V) -> V:
        return self._two("shl", x, y)

    def shr(self, x: V, y: V) -> V:
        """To the right, keeping the sign of signed kinds."""
        return self._two("ashr" if x.kind in SIGNED else "lshr", x, y)

    def lshr(self, x: V, y: V) -> V:
        """To the right, filling with zeros."""
        return self._two("lshr", x, y)

    # ---- comparison and choice ----

    def _compare(self, x: V, y: V, floats: str, signed: str, unsigned: str) -> V:
        if x.kind in FLOATS:
            return self._two(f"fcmp {floats}", x, y, "?")
        return self._two(f"icmp {signed if x.kind in SIGNED or x.kind == 'p' else unsigned}", x, y, "?")

    def lt(self, x: V, y: V) -> V:
        return self._compare(x, y, "olt", "slt", "ult")

    def le(self, x: V, y: V) -> V:
        return self._compare(x, y, "ole", "sle", "ule")

    def gt(self, x: V, y: V) -> V:
        return self._compare(x, y, "ogt", "sgt", "ugt")

    def ge(self, x: V, y: V) -> V:
        return self._compare(x, y, "oge", "sge", "uge")

    def eq(self, x: V, y: V) -> V:
        return self._compare(x, y, "oeq", "eq", "eq")

    def ne(self, x: V, y: V) -> V:
        return self._compare(x, y, "une", "ne", "ne")

    def isnan(self, x: V) -> V:
        return self._two("fcmp uno", x, x, "?")

    def select(self, condition: V, x: V, y: V) -> V:
        assert x.kind == y.kind and x.lanes == y.lanes == condition.lanes, (condition, x, y)
        return self.define(
            f"select {condition.type} {condition.name}, {x.type} {x.name}, {y.type} {y.name}", x.kind, x.lanes
        )

    # ---- functions that are one instruction ----

    def _intrinsic(self, name: str, *xs: V) -> V:
        x = xs[0]
        assert all(y[1:] == x[1:] for y in xs), xs
        suffix = ("" if x.lanes == 1 else f"v{x.lanes}") + (
            _SUFFIX[REGISTER[x.kind]] if x.kind in FLOATS else REGISTER[x.kind]
        )
        called = f"@llvm.{name}.{suffix}"
        self.declared.add(f"declare {x.type} {called}({', '.join([x.type] * len(xs))})")
        return self.define(
            f"call {x.type} {called}({', '.join(f'{y.type} {y.name}' for y in xs)})", x.kind, x.lanes
        )

    def abs(self, x: V) -> V:
        if x.kind in FLOATS:
            return self._intrinsic("fabs", x)
        return x if x.kind in UNSIGNED else self.select(self.lt(x, self.like(0, x)), self.neg(x), x)

    def sqrt(self, x: V) -> V:
        return self._intrinsic("sqrt", x)

    def floor(self, x: V) -> V:
        return self._intrinsic("floor", x)

    def ceil(self, x: V) -> V:
        return self._intrinsic("ceil", x)

    def trunc(self, x: V) -> V:
        return self._intrinsic("trunc", x)

    def rint(self, x: V) -> V:
        """To the nearest whole number, ties to even."""
        return self._intrinsic("roundeven", x)

    def maximum(self, x: V, y: V) -> V:
        """The larger float; NaN if either is; 0 is above -0."""
        return self._intrinsic("maximum", x, y)

    def minimum(self, x: V, y: V) -> V:
        return self._intrinsic("minimum", x, y)

    def copysign(self, x: V, y: V) -> V:
        return self._intrinsic("copysign", x, y)

    def scalef(self, x: V, n: V) -> V | None:
        """x * 2**n of float32 and a whole n, rounded once, where the processor has an instruction for that (AVX-512)."""
        if not (self.masks and x.kind == "f" and x.lanes == 16):
            return None
        called, kind = "@llvm.x86.avx512.mask.scalef.ps.512", x.type
        self.declared.add(f"declare {kind} {called}({kind}, {kind}, {kind}, i16, i32)")
        given = f"{kind} {x.name}, {kind} {n.name}, {kind} zeroinitializer, i16 -1, i32 4"
        return self.define(f"call {kind} {called}({given})", "f", 16)

    # ---- bits and conversion ----

    def bits(self, x: V, kind: str) -> V:
        """The same bits, as a kind of the same size."""
        return self.define(f"bitcast {x.type} {x.name} to {type_of(kind, x.lanes)}", kind, x.lanes)

    def cast(self, x: V, kind: str) -> V:
        """The value in another kind, as C converts it; a float out of an integer's range as x86 does (see
        `rushlight.runtime.casting`)."""
        source = x.kind
        if source == kind:
            return x
        if kind == "?":
            return self.ne(x, self.like(0, x)) if source not in "eE" else self.cast(self.cast(x, "f"), "?")
        if source in FLOATS and kind in FLOATS:
            if source in "eE" and kind in "eE":
                return self.cast(self.cast(x, "f"), kind)
            wider = SIZES[kind] > SIZES[source]
            if source == "d" and kind in "eE":  # in two steps, as PyTorch does
                return self.cast(self.cast(x, "f"), kind)
            if kind == "E":
                return self._to_bfloat(x)
            if source == "E":
                return self.cast(self._of_bfloat(x), kind)
            return self._convert("fpext" if wider else "fptrunc", x, kind)
        if source in FLOATS:
            return self._to_integer(x, kind)
        if kind in FLOATS:
            if kind in "eE":
                return self.cast(self.cast(x, "f"), kind)
            return self._convert("sitofp" if source in SIGNED else "uitofp", x, kind)
        if SIZES[kind] < SIZES[source]:
            return self._convert("trunc", x, kind)
        if SIZES[kind] > SIZES[source] or source == "?":
            return self._convert("sext" if source in SIGNED else "zext", x, kind)
        return V(x.name, kind, x.lanes)  # another sign, the same bits

    def _convert(self, opcode: str, x: V, kind: str) -> V:
        return self.define(f"{opcode} {x.type} {x.name} to {type_of(kind, x.lanes)}", kind, x.lanes)

    def _to_bfloat(self, x: V) -> V:
        """The upper half of a float32, rounded to even. (x86's instruction for it flushes subnormal numbers.)"""
        word = self.bits(x, "I")
        odd = self.and_(self.lshr(word, self.like(16, word)), self.like(1, word))
        rounded = self.add(self.add(word, self.like(0x7FFF, word)), odd)
        upper = self.select(self.isnan(x), self.like(0x7FC0 << 16, word), rounded)
        return self.bits(self.cast(self.lshr(upper, self.like(16, word)), "H"), "E")

    def _of_bfloat(self, x: V) -> V:
        """The float32 of which it is the upper half."""
        word = self.cast(self.bits(x, "H"), "I")
        return self.bits(self.shl(word, self.like(16, word)), "f")

    def _to_integer(self, x: V, kind: str) -> V:
        """Through int32 or int64; what does not fit (and NaN) becomes the smallest of these, of which
        narrow kinds take the low bits."""
        if x.kind in "eE":
            x = self.cast(x, "f")
        if kind == "Q":
            return self._to_unsigned(x)
        through = "i" if kind in "bBhHi" else "q"
        low = -(2.0**31) if through == "i" else -(2.0**63)
        inside = self.and_(self.ge(x, self.like(low, x)), self.lt(x, self.like(-low, x)))
        safe = self.select(inside, x, self.like(0.0, x))
        whole = self._convert("fptosi", safe, through)
        least = self.const(-(1 << 31) if through == "i" else -(1 << 63), through, x.lanes)
        return self.cast(self.select(inside, whole, least), kind)

    def _to_unsigned(self, x: V) -> V:
        """To uint64: from 2**63 on what exceeds it, as int64, and the upper bit."""
        half = self.like(2.0**63, x)
        large = self.ge(x, half)
        low = self.cast(self.cast(self.select(large, self.sub(x, half), x), "q"), "Q")
        return self.select(large, self.xor(low, self.like(1 << 63, low)), low)

    # ---- lanes ----

    def any(self, x: V) -> V:
        """Whether a condition holds in any lane."""
        if x.lanes == 1:
            return x
        mask = self.define(f"bitcast {x.type} {x.name} to i{x.lanes}", "?", 1)
        return self.define(f"icmp ne i{x.lanes} {mask.name}, 0", "?", 1)

    def splat(self, x: V, lanes: int = 0) -> V:
        """A scalar in all lanes."""
        lanes = lanes or self.lanes
        if lanes == 1 or x.lanes == lanes:
            return x
        assert x.lanes == 1, x
        one = self.define(
            f"insertelement {type_of(x.kind, lanes)} poison, {x.type} {x.name}, i64 0", x.kind, lanes
        )
        return self.define(
            f"shufflevector {one.type} {one.name}, {one.type} poison, <{lanes} x i32> zeroinitializer",
            x.kind,
            lanes,
        )

    def extract(self, x: V, lane: int) -> V:
        if x.lanes == 1:
            return x
        return self.define(f"extractelement {x.type} {x.name}, i64 {lane}", x.kind, 1)

    def insert(self, x: V, y: V, lane: int) -> V:
        """x with y in one lane."""
        return self.define(f"insertelement {x.type} {x.name}, {y.type} {y.name}, i64 {lane}", x.kind, x.lanes)

    def shuffle(self, x: V, y: V | None, lanes: list[int]) -> V:
        """Lanes of x (0 to n-1) and y (n to 2n-1), chosen by number."""
        other = "poison" if y is None else y.name
        mask = ", ".join(f"i32 {n}" for n in lanes)
        return self.define(
            f"shufflevector {x.type} {x.name}, {x.type} {other}, <{len(lanes)} x i32> <{mask}>",
            x.kind,
            len(lanes),
        )

    # ---- memory ----

    def at(self, base: V, index: V, size: int = 1) -> V:
        """The address `index * size` bytes after `base`."""
        step = {1: "i8", 2: "i16", 4: "i32", 8: "i64"}[size]
        return self.define(f"getelementptr {step}, ptr {base.name}, i64 {index.name}", "p", 1)

    def load(self, address: V, kind: str, lanes: int = 0, align: int = 0, mask: V | None = None) -> V:
        """Elements that lie side by side (a bool is a byte, and true unless zero).

        `mask`: lanes to read; the others' memory is not touched, and they are 0.
        """
        lanes = lanes or self.lanes
        stored = "B" if kind == "?" else kind
        align = align or SIZES[kind]
        if mask is None or lanes == 1:
            text = f"load {type_of(stored, lanes)}, ptr {address.name}, align {align}"
        else:
            text = self._masked_load(address, type_of(stored, lanes), align, mask)
        x = self.define(text, stored, lanes)
        return self.ne(x, self.like(0, x)) if kind == "?" else x

    def _masked_load(self, address: V, kind: str, align: int, mask: V) -> str:
        called = f"@llvm.masked.load.{_mangled(kind)}.p0"
        self.declared.add(f"declare {kind} {called}(ptr, i32, {mask.type}, {kind})")
        return (
            f"call {kind} {called}(ptr {address.name}, i32 {align}, {mask.type} {mask.name}, "
            f"{kind} zeroinitializer)"
        )

    def store(self, x: V, address: V, align: int = 0, stream: bool = False, mask: V | None = None) -> None:
        """`stream`: past the caches; `align` must then be that of the whole vector. `mask`: lanes to write."""
        if x.kind == "?":
            x = self._convert("zext", x, "B")
        align = align or SIZES[x.kind]
        if mask is not None and x.lanes > 1:
            called = f"@llvm.masked.store.{_mangled(x.type)}.p0"
            self.declared.add(f"declare void {called}({x.type}, ptr, i32, {mask.type})")
            self.emit(
                f"call void {called}({x.type} {x.name}, ptr {address.name}, i32 {align}, "
                f"{mask.type} {mask.name})"
            )
            return
        extra = ", !nontemporal !0" if stream else ""
        self.emit(f"store {x.type} {x.name}, ptr {address.name}, align {align}{extra}")

    def fence(self) -> None:
        """Order stores past the caches, which on x86 nothing else does."""
        self.declared.add("declare void @llvm.x86.sse.sfence()")
        self.emit("call void @llvm.x86.sse.sfence()")

    def below(self, count: V, lanes: int = 0) -> V:
        """The mask of the first `count` lanes (a 64-bit scalar, of which more than there are lanes means all)."""
        lanes = lanes or self.lanes
        if lanes == 1:
            return self.gt(count, self.integer(0))
        few = self.select(self.lt(count, self.integer(lanes)), count, self.integer(lanes))
        numbers = ", ".join(f"i32 {n}" for n in range(lanes))
        return self.lt(V(f"<{numbers}>", "i", lanes), self.splat(self.cast(few, "i"), lanes))

    def prefetch(self, address: V, locality: int = 2) -> None:
        """Ask for a line of memory that will be read soon: 3 in the first cache, 2 in the second. Any address will do."""
        self.declared.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        self.emit(f"call void @llvm.prefetch.p0(ptr {address.name}, i32 0, i32 {locality}, i32 1)")

    def room(self, kind: str, lanes: int = 0, count: int = 1) -> V:
        """A place on the stack, for what changes in a loop."""
        name = self.fresh("a")
        lanes = lanes or self.lanes
        many = f", i64 {count}" if count > 1 else ""
        stored = "B" if kind == "?" else kind
        self.entry.append(f"  {name} = alloca {type_of(stored, lanes)}{many}, align 64")
        return V(name, "p", 1)

    # ---- tables ----

    def table(self, values: Sequence[float | int], kind: str) -> V:
        """The address of constants that lie side by side; equal tables are one."""
        listed = ", ".join(f"{REGISTER[kind]} {literal(value, kind)}" for value in values)
        text = f"[{len(values)} x {REGISTER[kind]}] [{listed}]"
        name = self.tables.setdefault(text, f"@table{len(self.tables)}")
        return V(name, "p", 1)

    def gather(self, table: V, offset: V, kind: str) -> V:
        """From a table, what begins at the given bytes, which the caller knows to be inside."""
        places = self.define(
            f"getelementptr i8, ptr {table.name}, {offset.type} {offset.name}", "p", offset.lanes
        )
        if offset.lanes == 1:
            return self.load(places, kind, 1, align=1)
        lanes = offset.lanes
        wanted, mask = type_of(kind, lanes), type_of("?", lanes)
        suffix = f"v{lanes}{_SUFFIX.get(REGISTER[kind], REGISTER[kind])}.v{lanes}p0"
        called = f"@llvm.masked.gather.{suffix}"
        self.declared.add(f"declare {wanted} {called}({places.type}, i32, {mask}, {wanted})")
        given = f"{places.type} {places.name}, i32 1, {mask} splat (i1 true), {wanted} poison"
        return self.define(f"call {wanted} {called}({given})", kind, lanes)

    # ---- control flow ----

    def label(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def jump(self, label: str) -> None:
        self.emit(f"br label %{label}")

    def branch(self, condition: V, yes: str, no: str) -> None:
        self.emit(f"br i1 {condition.name}, label %{yes}, label %{no}")

    def begin(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.block = label

    @contextmanager
    def loop(self, start: V, stop: V, step: int | V = 1) -> Iterator[V]:
        """A counter from `start` while below `stop`; other state lives in `room`s, which LLVM makes registers."""
        head, body, done = self.label("head"), self.label("body"), self.label("done")
        counter, after = self.fresh("i"), self.fresh("n")
        came_from = self.block
        self.jump(head)
        self.begin(head)
        position = len(self.lines)
        self.lines.append("")  # the phi, when we know where the body ends
        going = self.lt(V(counter, "q"), stop)
        self.branch(going, body, done)
        self.begin(body)
        yield V(counter, "q")
        by = step.name if isinstance(step, V) else str(step)
        self.lines.append(f"  {after} = add i64 {counter}, {by}")
        self.lines[position] = f"  {counter} = phi i64 [{start.name}, %{came_from}], [{after}, %{self.block}]"
        self.jump(head)
        self.begin(done)

    @contextmanager
    def when(self, condition: V) -> Iterator[None]:
        """What happens only if a scalar condition holds."""
        yes, done = self.label("then"), self.label("endif")
        self.branch(condition, yes, done)
        self.begin(yes)
        yield
        self.jump(done)
        self.begin(done)

    def either(self, condition: V, yes: Callable[[], None], no: Callable[[], None]) -> None:
        """One of two things. (Of two stores under opposite conditions, one after the other, LLVM makes one store,
        which no longer goes past the caches.)"""
        first, second, done = self.label("yes"), self.label("no"), self.label("done")
        self.branch(condition, first, second)
        for label, action in ((first, yes), (second, no)):
            self.begin(label)
            action()
            self.jump(done)
        self.begin(done)

    # ---- whole numbers: sizes and indexes ----

    def trailing_zeros(self, x: V) -> V:
        """The number of the lowest bit that is set, which must be one."""
        called = f"@llvm.cttz.{x.type}"
        self.declared.add(f"declare {x.type} {called}({x.type}, i1)")
        return self.define(f"call {x.type} {called}({x.type} {x.name}, i1 true)", x.kind, 1)

    def least(self, x: V, y: V) -> V:
        return self.select(self.lt(x, y), x, y)

    # ---- the whole ----

    def call(self, name: str, args: list[V]) -> None:
        """Call a function of the module, which returns nothing."""
        self.called.add(name)
        self.emit(f"call void @{name}({', '.join(f'{x.type} {x.name}' for x in args)})")

    def definition(self, name: str, params: list[V], internal: bool = False) -> str:
        """The text of this function, which returns nothing."""
        given = ", ".join(f"{p.type} {p.name}" for p in params)
        scope = "internal " if internal else ""
        body = "\n".join([*self.entry, *self.lines, "  ret void"])
        return f"define {scope}void @{name}({given}) #0 {{\nentry:\n{body}\n}}\n"

    def function(self, name: str, params: list[V]) -> str:
        """The text of a module with this one function."""
        return self.module([self.definition(name, params)])

    def module(self, definitions: list[str]) -> str:
        """The text of a module of these functions, with what this one declared."""
        tables = [f"{table} = private unnamed_addr constant {text}" for text, table in self.tables.items()]
        return "\n".join([*sorted(self.declared), *tables, *definitions, _TRAILER])
