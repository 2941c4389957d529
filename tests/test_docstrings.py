"""Every example in a docstring of the package is run, and prints what the docstring says."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import rushlight
from rushlight.native import jit

MODULES = ["rushlight"] + sorted(
    found.name
    for found in pkgutil.walk_packages(rushlight.__path__, "rushlight.")
    if not found.name.endswith("__main__")
)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL


def documented(module):
    """(name, docstring) of a module, and of all functions, classes, methods and properties that it defines."""
    yield module.__name__, module.__doc__
    seen = set()
    for name, thing in list(vars(module).items()):
        if getattr(thing, "__module__", None) != module.__name__ or id(thing) in seen:
            continue
        seen.add(id(thing))
        yield f"{module.__name__}.{name}", inspect.getdoc(thing) if callable(thing) else None
        for inner, member in vars(thing).items() if inspect.isclass(thing) else ():
            if callable(member) or isinstance(member, property):
                yield f"{module.__name__}.{name}.{inner}", member.__doc__


def examples(module):
    parser = doctest.DocTestParser()
    for name, text in documented(module):
        if isinstance(text, str) and ">>>" in text:
            names = (
                {} if "import rushlight" in text else dict(vars(module))
            )  # inner modules speak of their own
            yield parser.get_doctest(text, names, name, module.__file__, 0)


SHOW_KERNELS = {"rushlight.explanation", "rushlight.profiler.session"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_the_docstring_says(name, fused):
    if name in SHOW_KERNELS and not jit.available():
        pytest.skip("without llvmlite there are no kernels to show")
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    said = []
    for test in examples(importlib.import_module(name)):
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)


def test_there_are_examples():
    assert (
        sum(len(test.examples) > 0 for name in MODULES for test in examples(importlib.import_module(name)))
        > 300
    )
