"""`import torch`, answered by Rushlight: in this process, and in no other.

After `install()`, `sys.modules["torch"]` *is* the `rushlight` module and `torch.x.y` *is* `rushlight.x.y`; nothing
is copied or wrapped, so `isinstance`, pickling and identity hold whichever name a program uses. Its classes say that they
are PyTorch's: `print(type(x))` is part of what a program prints. Worker processes that `multiprocessing` or joblib
start afresh ("spawn", "forkserver", "loky") get the same answer before they import the program.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from rushlight import absent
from rushlight.interop import hollow, homes

# PyTorch's public modules. Rushlight's others (layout, buffer, ...) are its own business: `import torch.layout` must
# fail as it does in PyTorch.
PUBLIC = frozenset(
    "_C __config__ __future__ _dynamo _inductor accelerator amp autograd backends compiler cpu cuda distributed distributions fft func functional futures hub jit library linalg masked mps multiprocessing nn onnx optim overrides"
    " profiler quasirandom random return_types serialization signal sparse special storage testing torch_version types utils version xpu".split()
)


#: the module of the safetensors library that knows PyTorch
_SAFETENSORS = "safetensors.torch"
#: modules that prepare worker processes; too slow to import in advance
_SPAWN = ("multiprocessing.spawn", "joblib.externals.loky.backend.spawn", "loky.backend.spawn")


def install() -> None:
    """Answer `import torch` and its submodules with Rushlight from here on, in this process.

    Raises RuntimeError if PyTorch itself is loaded already: what holds parts of it could not be told.
    """
    rushlight = importlib.import_module(
        "rushlight"
    )  # by name: an import statement would run against the layers
    if (torch := sys.modules.get("torch")) is rushlight:
        return
    if torch is not None:
        raise RuntimeError("PyTorch is already imported in this process, so Rushlight cannot answer for it")
    for name, module in list(sys.modules.items()):
        if _is_known(name):
            _adopt(module)
    vars(rushlight)["torch"] = rushlight  # PyTorch's package holds itself, and programs write torch.torch
    sys.meta_path.insert(0, _Finder())
    importlib.import_module("rushlight.torch_version").answer()
    for name in _SPAWN:
        if name in sys.modules:
            _tell_workers(sys.modules[name])


def _is_public(name: str) -> bool:
    """Whether PyTorch has a module of this name of ours."""
    return name == "rushlight" or name.startswith("rushlight.") and name.split(".")[1] in PUBLIC


def _is_known(name: str) -> bool:
    """Whether this module of ours has something of PyTorch's."""
    return name in homes.SOURCES or _is_public(name)


def _adopt(module: ModuleType) -> None:
    """Make a module of ours, which is loaded, PyTorch's."""
    name = module.__name__
    homes.rename(module, _is_public(name))
    if _is_public(name):
        torch_name = "torch" + name.removeprefix("rushlight")
        sys.modules[torch_name] = module
        _name_what_is_missing(module, torch_name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and loads `torch.*`, and `safetensors.torch`, which is about PyTorch's tensors; what has to be done with other modules is done when they are loaded."""

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name in _SPAWN:
            return _spec_and_then(name, path, _tell_workers)
        if name.startswith("rushlight.") and _is_known(name):
            return _spec_and_then(name, path, _adopt)
        if name == _SAFETENSORS or name in homes.PLACES:
            return importlib.machinery.ModuleSpec(name, self)
        if name in homes.PACKAGES:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        if not name.startswith("torch."):
            return None
        if name.split(".")[1] in PUBLIC and _exists(_ours(name)):
            return importlib.machinery.ModuleSpec(name, self)
        if hollow.is_module(name):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        absent.find_module(name)
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        if _exists(_ours(spec.name)):
            return None
        return hollow.Module(spec.name) if hollow.is_module(spec.name) else homes.Place(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        # The import system hands out what sys.modules holds after this call. Replacing the entry, unlike returning the
        # module from create_module, leaves its __spec__ and __name__ as they are.
        name = module.__name__
        if isinstance(module, (homes.Place, hollow.Module)):
            return
        sys.modules[name] = importlib.import_module(_ours(name))
        _name_what_is_missing(sys.modules[name], name)


def _spec_and_then(
    name: str, path: Any, then: Callable[[ModuleType], None]
) -> importlib.machinery.ModuleSpec | None:
    """How to load a module that is none of PyTorch's, and then do something with it."""
    spec = importlib.machinery.PathFinder.find_spec(name, path)
    if spec is not None and spec.loader is not None:
        run = spec.loader.exec_module

        def run_and_do(module: ModuleType) -> None:
            run(module)
            then(module)

        spec.loader.exec_module = run_and_do  # type: ignore[method-assign]
    return spec


def _ours(name: str) -> str:
    return "rushlight.safetensors" if name == _SAFETENSORS else "rushlight" + name.removeprefix("torch")


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is missing, or is no package
        return False


# ---- missing names ----


def _name_what_is_missing(module: ModuleType, torch_name: str) -> None:
    """Let `module` answer for names it lacks: load a public submodule, or raise an error with PyTorch's name for it."""
    inherited = module.__dict__.get("__getattr__")
    if getattr(inherited, "answers_for_torch", False):
        return

    def __getattr__(name: str) -> Any:
        public = name in PUBLIC if torch_name == "torch" else not name.startswith("_")
        if inherited is not None:
            with contextlib.suppress(AttributeError):
                return inherited(name)
        whole = f"{torch_name}.{name}"
        if (known := hollow.find(torch_name, name)) is not None:
            return known
        if (
            whole in homes.PLACES
            or hollow.is_module(whole)
            or public
            and _exists(f"{module.__name__}.{name}")
        ):
            return importlib.import_module(whole)
        return homes.find(torch_name, name)

    __getattr__.answers_for_torch = True  # type: ignore[attr-defined]
    module.__dict__["__getattr__"] = __getattr__


def tidy_traceback(error: BaseException) -> None:
    """Let the tracebacks of an error, and of those it was raised from, end at the program's own line.

    The frames of this module and of the import system are taken off the end, so that what is missing is reported where
    it was asked for; and `from torch import x` fails under PyTorch's name, not under ours.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        _drop_last_frames(error)
        if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "rushlight":
            _name_in_torchs_words(error)
        error = error.__cause__ or error.__context__  # type: ignore[assignment]


def _name_in_torchs_words(error: ImportError) -> None:
    """`from torch import x` failed: say what is missing, and not in which file of ours."""
    words = str(error.msg).partition(" (")[0].replace("'rushlight", "'torch")
    name = words.removeprefix("cannot import name '").partition("'")[0]
    module = (error.name or "").replace("rushlight", "torch", 1)
    error.msg = f"{words}: {absent.not_here(f'{module}.{name}')}"


def _drop_last_frames(error: BaseException) -> None:
    frames = []
    step = error.__traceback__
    while step is not None:
        frames.append(step)
        step = step.tb_next
    ours = len(frames)
    while ours and frames[ours - 1].tb_frame.f_code.co_filename.startswith(
        (__file__, homes.__file__, hollow.__file__, absent.__file__, "<frozen importlib", importlib.__file__)
    ):
        ours -= 1
    if 0 < ours < len(frames):
        frames[ours - 1].tb_next = None


# ---- worker processes ----


class _Greeting:
    """Unpickling one installs the alias."""

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return install, ()


def _tell_workers(spawn: ModuleType) -> None:
    """Put a greeting in what a new worker unpickles first, before it imports the program."""
    plain = spawn.get_preparation_data
    spawn.get_preparation_data = lambda *args, **options: {  # type: ignore[attr-defined]
        "rushlight": _Greeting(),
        **plain(*args, **options),
    }
