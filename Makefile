# Every target sets up what it needs in .venv; a machine with Python 3.11 or later is enough.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check sanitize fuzz bench docs clean

demo: .venv/demo.stamp  ## train on a real table, score held-out rows, predict some
	$(BIN)/deltarule demo

test: .venv/test.stamp  ## the tests, doctests included
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

check: .venv/dev.stamp  ## lint, types, import contract, docstrings, the code blocks of README and docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_docstrings.py
	$(BIN)/python tools/run_code_blocks.py README.md CONTRIBUTING.md docs
	$(BIN)/python tools/reference_pages.py --check

sanitize: .venv/dev.stamp  ## the kernels' tests on a build with the address and undefined-behaviour sanitizers
	bash native/tests/sanitize.sh $(BIN)/python

fuzz: .venv/test.stamp  ## 100,000 damaged models and some thousand hostile tables, commands and settings
	$(BIN)/python benchmarks/fuzz.py --cases 100000

bench: .venv/bench.stamp  ## the tables of benchmarks/RESULTS.md
	sh benchmarks/install_peers.sh
	$(BIN)/python benchmarks/run.py

docs: .venv/dev.stamp  ## the documentation as HTML in docs/_build
	$(BIN)/python tools/reference_pages.py
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build

clean:
	rm -rf .venv build docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or later is needed, this is {sys.version}; use make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/demo.stamp: pyproject.toml | .venv/bin/python
	@echo "Installing; compiling the kernels takes some minutes."
	$(BIN)/python -m pip install -q -e .
	touch $@

# The package is built once; what follows brings other packages alone.
.venv/test.stamp: .venv/demo.stamp
	$(BIN)/python tools/extras.py frames test > .venv/test.txt
	$(BIN)/python -m pip install -q -r .venv/test.txt
	touch $@

.venv/dev.stamp: .venv/test.stamp
	$(BIN)/python tools/extras.py check docs dev > .venv/dev.txt
	$(BIN)/python -m pip install -q -r .venv/dev.txt
	touch $@

.venv/bench.stamp: .venv/test.stamp
	$(BIN)/python tools/extras.py frames bench > .venv/bench.txt
	$(BIN)/python -m pip install -q -r .venv/bench.txt
	touch $@
