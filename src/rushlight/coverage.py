"""What of PyTorch a program uses, and what of that is missing here: found by reading the program, not by running it.

1. Imports say which names stand for PyTorch and its parts; `x = torch.y` adds to them.
2. Chains of attributes from such a name (`torch.nn.functional.relu`) are looked up here, as far as they lead through
   modules and `Tensor`.
3. Attributes of anything else are taken for a tensor's where PyTorch's tensors have that name, Rushlight's lack it, and
   neither Python's own types nor the program define it.
4. Modules that the program imports from its own folder are read, too.
"""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from rushlight.absent import torch_names


@dataclass(frozen=True, order=True)
class Use:
    """One place where a program names something of PyTorch."""

    file: str
    line: int
    name: str
    #: whether only the name of an attribute says that it is a tensor's
    guessed: bool = False


# ---- the names of PyTorch, and ours ----


_ABSENT = object()


@functools.cache
def ours(name: str) -> Any:
    """What Rushlight has under a dotted name of PyTorch, or a mark that it has nothing."""
    from rushlight.interop.aliasing import PUBLIC

    parent, _, last = name.rpartition(".")
    if not parent:
        return importlib.import_module("rushlight") if name == "torch" else _ABSENT
    holder = ours(parent)
    if holder is _ABSENT:
        return _ABSENT
    found = getattr(holder, last, _ABSENT)
    if isinstance(found, ModuleType) and name.split(".")[1] not in PUBLIC:
        return _ABSENT  # a module of Rushlight's own, which `import torch` does not show
    if found is _ABSENT and isinstance(holder, ModuleType) and name.split(".")[1] in PUBLIC:
        return _module(holder, last)
    return found


def _module(package: ModuleType, name: str) -> Any:
    try:
        return importlib.import_module(f"{package.__name__}.{name}")
    except ImportError:
        return _ABSENT


def is_here(name: str) -> bool:
    """Whether Rushlight has what PyTorch has under this dotted name.

    Example:
        >>> from rushlight.coverage import is_here
        >>> is_here("torch.nn.Linear"), is_here("torch.nn.no_such_layer")
        (True, False)
    """
    return ours(name) is not _ABSENT


def summary() -> Iterator[tuple[str, int, list[str]]]:
    """For each public namespace of PyTorch: how many names it has, and which of them are missing here."""
    described = {namespace: names for namespace, names in torch_names().items() if names}
    for namespace, names in described.items():
        yield namespace, len(names), [name for name in names if not is_here(f"{namespace}.{name}")]


# ---- reading a program ----


def uses(path: Path) -> list[Use]:
    """Every use of PyTorch in the program at `path` and in the modules beside it that it imports.

    Raises:
        OSError, SyntaxError, ValueError: a file cannot be read.
    """
    found: set[Use] = set()
    waiting, seen = [path], {path.resolve()}
    while waiting:
        file = waiting.pop()
        reader = _Reader(str(file))
        reader.read(ast.parse(file.read_bytes(), str(file)))
        found |= reader.uses
        for module in _beside(path.parent, reader.imported):
            if module.resolve() not in seen:
                seen.add(module.resolve())
                waiting.append(module)
    return sorted(found)


def missing(found: list[Use]) -> list[Use]:
    """The uses of what Rushlight does not have."""
    return [use for use in found if not is_here(use.name)]


def _beside(folder: Path, modules: set[str]) -> Iterator[Path]:
    """The files of modules that lie in the program's own folder."""
    for name in sorted(modules):
        base = folder.joinpath(*name.split("."))
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if base.name and file.is_file():
                yield file


@dataclass
class _Reader(ast.NodeVisitor):
    """Collects the uses in one file.

    Attributes:
        known: local name -> the dotted name of PyTorch that it stands for.
        imported: other modules that the file imports.
        defined: names that the file gives to attributes and functions of its own.
    """

    file: str
    uses: set[Use] = field(default_factory=set)
    known: dict[str, str] = field(default_factory=dict)
    imported: set[str] = field(default_factory=set)
    defined: set[str] = field(default_factory=set)
    guesses: list[tuple[int, str]] = field(default_factory=list)

    def read(self, tree: ast.Module) -> None:
        for node in ast.walk(tree):  # imports in functions count, wherever they stand
            if isinstance(node, ast.Import):
                self._import(node)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                self.defined.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                self.defined.add(node.attr)
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                self._alias(node)
        self.visit(tree)
        for line, name in self.guesses:
            if name not in self.defined:
                self._use(line, f"torch.Tensor.{name}", guessed=True)

    def _use(self, line: int, name: str, guessed: bool = False) -> None:
        self.uses.add(Use(self.file, line, name, guessed))

    # ---- what names stand for ----

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            if not _is_torch(alias.name):
                self.imported.add(alias.name)
                continue
            self.known[alias.asname or "torch"] = alias.name if alias.asname else "torch"
            self._use(node.lineno, alias.name)

    def _import_from(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level or not _is_torch(module):
            self.imported |= {module, *(f"{module}.{alias.name}".strip(".") for alias in node.names)} - {""}
            return
        for alias in node.names:
            if alias.name == "*":
                self.known |= {name: f"{module}.{name}" for name in torch_names().get(module, ())}
                self._use(node.lineno, module)
            else:
                self.known[alias.asname or alias.name] = f"{module}.{alias.name}"
                self._use(node.lineno, f"{module}.{alias.name}")

    def _alias(self, node: ast.Assign) -> None:
        """`F = torch.nn.functional` makes F a name for it."""
        name = self._dotted(node.value)
        if name and (isinstance(ours(name), ModuleType) or name in torch_names()):
            self.known |= {target.id: name for target in node.targets if isinstance(target, ast.Name)}

    # ---- where they are used ----

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self._dotted(node)
        if name is not None:
            self._use(node.lineno, name)
            return
        if isinstance(node.ctx, ast.Load) and node.attr in _missing_methods():
            self.guesses.append((node.lineno, node.attr))
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        name = self.known.get(node.id)
        if name is not None and isinstance(node.ctx, ast.Load) and name not in torch_names():
            self._use(node.lineno, name)

    def visit_Call(self, node: ast.Call) -> None:
        """`getattr(torch, "relu")` is an attribute, too."""
        match node:
            case ast.Call(ast.Name("getattr"), [holder, ast.Constant(str(name))]):
                base = self._dotted(holder) or self.known.get(getattr(holder, "id", ""))
                if base:
                    self._use(node.lineno, f"{base}.{name}")
        self.generic_visit(node)

    def _dotted(self, node: ast.AST) -> str | None:
        """What a chain of attributes names, up to where it leaves modules and Tensor; None if it is not PyTorch's."""
        chain: list[str] = []
        while isinstance(node, ast.Attribute):
            chain.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.known:
            return None
        name = self.known[node.id]
        for attribute in reversed(chain):
            if not _is_namespace(name):
                break
            name = f"{name}.{attribute}"
        return name


@functools.cache
def _missing_methods() -> frozenset[str]:
    """Methods of PyTorch's tensors that Rushlight's lack, but for names that other things are likely to have."""
    lacking = {name for name in torch_names()["torch.Tensor"] if not is_here(f"torch.Tensor.{name}")}
    common = (dict, list, set, str, Path, ours("torch.nn.Module"), ours("torch.autograd.graph.Node"))
    return frozenset(lacking.difference(*map(dir, common)))


def _is_torch(module: str) -> bool:
    return module.split(".")[0] == "torch"


def _is_namespace(name: str) -> bool:
    """Whether PyTorch (or Rushlight) has a module, or the class Tensor, under this name."""
    if name in torch_names() or any(known.startswith(name + ".") for known in torch_names()):
        return True
    return isinstance(ours(name), ModuleType)


__all__ = ["Use", "is_here", "missing", "summary", "torch_names", "uses"]
