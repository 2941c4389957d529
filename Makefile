# `make tour` and `make test` work on a bare machine with make and Python >= 3.11; everything lives in .venv.
# Stamps are keyed on pyproject.toml, so a second run installs nothing.

.DEFAULT_GOAL := help
.PHONY: help tour test lint format bench docs clean

# The first interpreter that runs and is new enough (a version manager's shim may exist and not run).
FIND_PYTHON = for p in python3.11 python3.12 python3.13 python3; do \
	if $$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; break; fi; done
PYTHON ?= $(shell $(FIND_PYTHON))

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

help:
	@echo "make tour   run the notes, check what they print, and walk through them"
	@echo "make test   lint, types, layers and the tests, against PyTorch 2.13.0"
	@echo "make lint   lint, types and layers only"
	@echo "make bench  overhead per operation, import time and large results, beside PyTorch and NumPy"
	@echo "make docs   build the site into site/"

tour: .venv/.runtime
	@$(BIN)/rushlight run examples/notes.py > .venv/notes.txt
	@diff -u examples/notes.expected.txt .venv/notes.txt || { echo "make tour: the notes print something else (see above)" >&2; exit 1; }
	@$(BIN)/rushlight tour
	@echo; echo "examples/notes.py printed examples/notes.expected.txt, byte for byte."

test: lint
	$(BIN)/python -m pytest -q tests

lint: .venv/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --cache-dir .venv/import-linter

format: .venv/.dev
	$(BIN)/ruff format

bench: .venv/.dev
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/small.py
	$(BIN)/python benchmarks/import_time.py
	$(BIN)/python benchmarks/ops.py
	$(BIN)/python benchmarks/peak_memory.py
	$(BIN)/python benchmarks/memory_pool.py
	$(BIN)/python benchmarks/programs.py --no-compile
	$(BIN)/python benchmarks/native.py

docs: .venv/.docs
	$(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf .venv site

.venv/.python:
	@test -n "$(PYTHON)" || { echo "Rushlight needs Python 3.11 or newer, with its venv module (on Debian: python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.runtime: .venv/.python pyproject.toml
	$(PIP) --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

.venv/.dev: .venv/.runtime
	$(PIP) --editable '.[test,lint]'
	@touch $@

.venv/.docs: .venv/.runtime
	$(PIP) --editable '.[docs]'
	@touch $@
