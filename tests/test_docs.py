"""The examples in README.md and docs/ are run, and print what the page says they print."""

import contextlib
import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rushlight.native import jit

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Pages that PyTorch itself must agree with, word for word; the others say where Rushlight differs.
SAME_IN_PYTORCH = [ROOT / "README.md", ROOT / "docs" / "tutorial.md"]

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples(page: Path) -> list[tuple[str, str | None]]:
    """Each ```python block, at its own line numbers, with the ```text block that follows it, if one does."""
    text = page.read_text(encoding="utf-8")
    blocks = list(FENCED.finditer(text))
    found = []
    for block, after in zip(blocks, [*blocks[1:], None]):
        if block[1] == "python":
            follows = (
                after is not None and after[1] == "text" and not text[block.end() : after.start()].strip()
            )
            lines_above = text[: block.start(2)].count("\n")
            found.append(("\n" * lines_above + block[2], after[2] if after is not None and follows else None))
    return found


def run(page: Path, importing: str) -> None:
    names: dict[str, object] = {"__name__": page.stem}
    for code, expected in examples(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code.replace("import rushlight as torch", importing), str(page), "exec"), names)
        if expected is not None:
            assert printed.getvalue() == expected, f"{page.name}: {code.strip()}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_print_what_the_page_says(page, fused):
    if page.name == "engine.md" and not jit.available():
        pytest.skip("without llvmlite there are no kernels to show")
    run(page, "import rushlight as torch")


@pytest.mark.parametrize("page", SAME_IN_PYTORCH, ids=lambda page: page.name)
def test_pytorch_prints_the_same(page):
    run(page, "import torch")


@pytest.mark.parametrize("page", SAME_IN_PYTORCH, ids=lambda page: page.name)
def test_these_pages_have_examples_with_output(page):
    assert any(expected for _, expected in examples(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_fence_is_closed_and_every_output_follows_an_example(page):
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r"^```", text, re.MULTILINE)) == 2 * len(FENCED.findall(text))
    outputs = sum(block[1] == "text" for block in FENCED.finditer(text))
    assert outputs == sum(expected is not None for _, expected in examples(page))


def test_the_commands_in_the_readme_exist():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text())
    assert {"tour", "test"} <= set(named) <= set(targets)


@pytest.mark.skipif(not jit.available(), reason="there is no loop to follow")
def test_the_life_of_a_tensor_is_told_by_its_parts(fused):
    ran = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "life_of_a_tensor.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = ran.stdout
    assert "The size of tensor a (1024) must match the size of tensor b (7)" in told
    assert "512 x 1024: waiting: 1 pass over memory, 6291456 bytes" in told
    assert (
        "reduce mul sum: 1 run, 4198400 bytes" in told
    )  # (the product is not stored: that would be 2 MiB more)
    assert "reduce rk params -" in told
    assert [line.split()[-2:] for line in told.splitlines() if "thread" in line and "|" in line] == [
        ["same", "bits"]
    ] * 3
    assert "blocks taken from the system 0, used again 1" in told

    torch.manual_seed(0)
    a, b = torch.rand(512, 1024), torch.rand(512, 1024)
    products = (a * b)[:, :3].T.tolist()
    sums = json.loads(told.partition("The sums begin ")[2])
    assert sums == [torch.tensor(math.fsum(column)).item() for column in products]
