"""The command `rushlight`: run a PyTorch program, say what of it is covered, take the tour, say what is installed."""

from __future__ import annotations

import argparse
import ast
import builtins
import contextlib
import io
import os
import platform
import sys
import textwrap
from collections.abc import Iterator
from importlib import metadata
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import rushlight
from rushlight.interop import aliasing
from rushlight.native import cache, cpu, jit

if TYPE_CHECKING:  # rich is slow to import: only `tour` and `info` do
    from rich.console import Console

COMMANDS = ("run", "coverage", "tour", "info")


def main(argv: list[str] | None = None) -> int:
    """Carry out one command line and return its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    # What follows FILE belongs to the program, `--help` included, so argparse must not see it.
    match argv:
        case ["run", path, *args] if not path.startswith("-"):
            return run_program(path, args)
        case [path, *args] if path not in COMMANDS and not path.startswith("-"):
            return run_program(path, args)
    parser = _parser()
    options = parser.parse_args(argv)
    match options.command:
        case "coverage":
            return coverage(options.file) if options.file else coverage_summary(options.missing)
        case "tour":
            tour()
        case "info":
            info()
        case _:
            parser.print_help()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rushlight", description="PyTorch's tensor, light.")
    parser.add_argument("--version", action="version", version=f"rushlight {rushlight.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    run = commands.add_parser("run", help="run an unmodified PyTorch program (`rushlight FILE` does too)")
    run.add_argument(
        "file", metavar="FILE", help="the program; in it, `import torch` is answered by Rushlight"
    )
    run.add_argument(
        "args", nargs=argparse.REMAINDER, metavar="ARGS", help="what the program sees in sys.argv[1:]"
    )
    covered = commands.add_parser(
        "coverage", help="say what of PyTorch a program uses, and what is missing here"
    )
    covered.add_argument(
        "file", metavar="FILE", nargs="?", help="the program, which is not run; without it, all of PyTorch"
    )
    covered.add_argument("--missing", action="store_true", help="without FILE: list the missing names, too")
    commands.add_parser("tour", help="walk through the notes: memory, axes, gradients")
    commands.add_parser("info", help="print versions, the CPU, the BLAS and the JIT in use")
    return parser


# ---- run ----


def run_program(path: str, args: list[str]) -> int:
    """Run the file at `path` as `python path args...` would, with `import torch` answered by Rushlight."""
    full = os.path.abspath(path)
    try:
        with io.open_code(full) as file:
            source = file.read()
    except OSError as error:
        print(f"rushlight: can't open file {full!r}: [Errno {error.errno}] {error.strerror}", file=sys.stderr)
        print(
            f"rushlight: the commands are {', '.join(COMMANDS)}; anything else is a program to run",
            file=sys.stderr,
        )
        return 2
    aliasing.install()
    sys.argv = [path, *args]
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.realpath(full))
    program = sys.modules["__main__"] = _main_module(full)
    try:
        exec(compile(source, full, "exec", dont_inherit=True), program.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        return _report(error)
    return 0


def _main_module(path: str) -> ModuleType:
    """An empty `__main__` with the attributes that `python path` gives it."""
    module = ModuleType("__main__")
    module.__file__ = path
    module.__loader__ = SourceFileLoader("__main__", path)
    module.__dict__.update(__builtins__=builtins, __cached__=None)
    if sys.version_info < (3, 14):  # from there on, annotations are made when they are asked for
        module.__annotations__ = {}
    return module


def _report(error: BaseException) -> int:
    """Report an error that ended the program as Python would, from the program's own first line."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next  # our own frame
    aliasing.tidy_traceback(error)
    sys.excepthook(type(error), error, error.__traceback__)
    if isinstance(
        error, KeyboardInterrupt
    ):  # let Python end the process by the signal, without a second report
        sys.excepthook = lambda *_: None
        raise error
    return 1


# ---- coverage ----


def coverage(path: str) -> int:
    """Print what of PyTorch the program at `path` uses and where; 1 if something of it is missing here."""
    from rushlight.absent import not_here
    from rushlight.coverage import missing, uses

    try:
        found = uses(Path(path))
    except OSError as error:
        print(
            f"rushlight: can't open file {error.filename!r}: [Errno {error.errno}] {error.strerror}",
            file=sys.stderr,
        )
        return 2
    except (SyntaxError, ValueError) as error:  # (which of them, depends on the Python)
        print(f"rushlight: can't read {path!r}: {error}", file=sys.stderr)
        return 2
    lacking = missing(found)
    absent = {use.name for use in lacking}
    lines: dict[str, list[str]] = {}
    for use in found:
        lines.setdefault(use.name, []).append(str(use.line) if use.file == path else f"{use.file}:{use.line}")
    for name, places in sorted(lines.items()):
        print(f"{'missing' if name in absent else 'here':8} {name}  ({', '.join(places)})")
    for use in lacking:
        guess = ", if that is a tensor" if use.guessed else ""
        print(f"{use.file}:{use.line}: {not_here(use.name)}{guess}")
    print(f"{len(lines)} names of PyTorch, {len(absent)} missing")
    return 1 if lacking else 0


def coverage_summary(names_too: bool) -> int:
    """Print how much of each of PyTorch's public namespaces is here."""
    from rushlight.coverage import summary

    print(f"{'PyTorch 2.13':46}{'names':>6}{'here':>6}")
    for namespace, count, lacking in summary():
        print(f"{namespace:46}{count:6}{count - len(lacking):6}{(count - len(lacking)) / count:7.0%}")
        if names_too and lacking:
            print(textwrap.fill(" ".join(lacking), 110, initial_indent="    ", subsequent_indent="    "))
    return 0


# ---- info ----


def info() -> None:
    """Print what a bug report should say about this machine."""
    from rich.table import Table

    table = Table(box=None, show_header=False)
    for name, value in _facts():
        table.add_row(name, value)
    _console().print(table)


def _facts() -> Iterator[tuple[str, str]]:
    import numpy as np

    built: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    blas = built.get("Build Dependencies", {}).get("blas", {})
    yield "rushlight", rushlight.__version__
    yield (
        "Python",
        f"{platform.python_version()} ({platform.python_implementation()}, {platform.system()} {platform.machine()})",
    )
    yield "NumPy", np.__version__
    yield "ml_dtypes", metadata.version("ml_dtypes")
    yield "CPU", _cpu_name()
    yield "SIMD", " ".join(built.get("SIMD Extensions", {}).get("found", [])) or "baseline"
    yield "threads", f"{rushlight.get_num_threads()} ({cpu.threads()} of {os.cpu_count()} CPUs usable)"
    yield "caches", f"L2 {_size(cpu.caches().l2)}, L3 {_size(cpu.caches().l3)}"
    yield "BLAS", f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
    yield "JIT", _jit()
    yield "kernels", _kernels()


def _jit() -> str:
    if os.environ.get("RUSHLIGHT_TIER") == "numpy":
        return "switched off by RUSHLIGHT_TIER"
    if not jit.available():
        return "none: llvmlite 0.45 or newer is not installed, or does not load"
    return f"{cpu.compiler()}, {cpu.features()[0]}, vectors of {cpu.vector_bytes()} bytes"


def _kernels() -> str:
    where = cache.directory()
    if where is None:
        return "not kept on disk"
    entries, nbytes = cache.usage()
    return f"{where}: {entries} entries, {_size(nbytes)} of at most {_size(cache.LIMIT)}"


def _size(nbytes: int) -> str:
    """`1.5 MiB`; without decimals where they are zero."""
    return f"{nbytes / (1 << 20):.1f} MiB".replace(".0 ", " ")


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


# ---- tour ----


def tour() -> None:
    """Run the notes step by step, then show what shares memory, what an axis sums and what a gradient's graph holds."""
    aliasing.install()
    console = _console()
    _walk_the_notes(console)
    _show_memory(console)
    _show_axes(console)
    _show_graph(console)


def _walk_the_notes(console: Console) -> None:
    _heading(console, "The notes, one statement at a time")
    names: dict[str, Any] = {"__name__": "notes"}
    for title, code in _statements(_notes_path().read_text(encoding="utf-8")):
        if title:
            _say(console, f"\n# {title}", style="green")
        _say(console, ">>> " + code.replace("\n", "\n... "), style="bold")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        if printed.getvalue():
            _say(console, printed.getvalue().rstrip("\n"))


def _notes_path() -> Path:
    """The notes: beside this file in an installed wheel, under examples/ in a checkout."""
    here = Path(__file__).resolve()
    installed = here.parent / "examples" / "notes.py"
    return installed if installed.exists() else here.parents[2] / "examples" / "notes.py"


def _statements(source: str) -> Iterator[tuple[str | None, str]]:
    """Each top-level statement, with the comment right above it, if any. The module's docstring is left out."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        above = lines[node.lineno - 2] if node.lineno > 1 else ""
        yield (
            (above[2:] if above.startswith("# ") else None),
            "\n".join(lines[node.lineno - 1 : node.end_lineno]),
        )


def _show_memory(console: Console) -> None:
    import rushlight as torch

    _heading(console, "What shares memory")
    console.print(
        "A view and a detached tensor are other ways to look at one storage; a clone has its own.\n"
    )
    _say(console, ">>> a = torch.tensor([0., 1., 2., 3., 4., 5.])", style="bold")
    a = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    _say(console, f">>> hex(a.data_ptr())\n{hex(a.data_ptr())!r}")
    sources = ("a", "a.view(2, 3)", "a[2:]", "a.view(2, 3).t()", "a.detach()", "a.clone()", "a + 0")
    tensors = [eval(source, {"a": a}) for source in sources]
    before = [(t.reshape(-1)[0].item(), t._version) for t in tensors]
    a.detach().add_(10)
    table = _table("", "data_ptr()", "stride()", "first element", "_version")
    for source, t, (first, version) in zip(sources, tensors, before, strict=True):
        shares = t.untyped_storage().data_ptr() == a.untyped_storage().data_ptr()
        table.add_row(
            source,
            f"a's + {t.data_ptr() - a.data_ptr()} bytes" if shares else "its own",
            str(t.stride()),
            f"{first:g} -> {t.reshape(-1)[0].item():g}",
            f"{version} -> {t._version}",
            style="yellow" if shares else "cyan",
        )
    console.print(table)
    console.print("The arrows show what a.detach().add_(10) did: every alias sees the write, and counts it.")


def _show_axes(console: Console) -> None:
    import rushlight as torch

    _heading(console, "What an axis sums")
    A = torch.tensor([[1, 2, 3], [2, 2, 2], [3, 3, 3]])
    _say(console, ">>> A = torch.tensor([[1, 2, 3], [2, 2, 2], [3, 3, 3]])\n", style="bold")
    for row, total in zip(A.tolist(), A.sum(axis=1).tolist(), strict=True):
        console.print("     " + _cells(row) + f"   [cyan]-->{total:4}[/]")
    console.print("     " + _cells("|||", "magenta") + "       [cyan]A.sum(axis=1): along each row[/]")
    console.print("     " + _cells("vvv", "magenta"))
    console.print(
        "     "
        + _cells(A.sum(axis=0).tolist(), "magenta")
        + f"   -->{A.sum().item():4}   A.sum(): everything"
    )
    console.print("     [magenta]A.sum(axis=0): down each column[/]\n")
    console.print(
        "The axis you name is the one that disappears. cumsum walks the same way and keeps every stop:\n"
    )
    for row in A.cumsum(axis=0).tolist():
        console.print("     " + _cells(row, "magenta"))
    console.print("     [magenta]A.cumsum(axis=0)[/]")


def _cells(values: Any, style: str = "none") -> str:
    return f"[{style}]" + "".join(f"{value:>4}" for value in values) + "[/]"


def _show_graph(console: Console) -> None:
    from rich.tree import Tree

    import rushlight as torch

    _heading(console, "What the graph of b**2 + 3*b holds")
    _say(
        console,
        ">>> a = torch.tensor(2.0, requires_grad=True)\n>>> b = a.clone()\n>>> b = b**2 + 3 * b",
        style="bold",
    )
    a = torch.tensor(2.0, requires_grad=True)
    b = a.clone()
    b = b**2 + 3 * b
    tree = Tree("b", guide_style="none")
    _grow(tree, b.grad_fn, {})
    console.print(tree)
    console.print(
        "backward() walks it from the top: d(b**2 + 3*b)/db = 2*b + 3 at b = 2, through clone unchanged, into a.grad."
    )
    b.backward()
    _say(console, ">>> b.backward(); a.grad", style="bold")
    _say(console, repr(a.grad))


def _grow(tree: Any, node: Any, seen: dict[int, Any]) -> None:
    """Add `node`, what it keeps for backward and what feeds it to the picture; a node met before is only named."""
    again = id(node) in seen
    seen[id(node)] = node
    saved = {
        name.removeprefix("_saved_"): getattr(node, name) for name in dir(node) if name.startswith("_saved_")
    }
    kept = ", ".join(f"{name} = {_plain(value)}" for name, value in saved.items() if value is not None)
    end = ", which adds into a.grad" if node.name().endswith("AccumulateGrad") else ""
    keeps = f"  (keeps {kept})" if kept else ""
    branch = tree.add(f"{node.name()}{end}{keeps}" + ("  (the same node again)" if again else ""))
    if not again:
        for child, _ in node.next_functions:
            if child is not None:
                _grow(branch, child, seen)


def _plain(value: Any) -> str:
    return f"{value.item():g}" if hasattr(value, "item") else str(value)


def _table(*columns: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _heading(console: Console, text: str) -> None:
    console.print()
    console.rule(text, align="left", characters="-")


def _say(console: Console, text: str, style: str = "none") -> None:
    """Print `text` as it stands: no markup, no wrapping."""
    console.print(text, style=style, markup=False, soft_wrap=True)
