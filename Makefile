# Two commands from a fresh clone: `make book` and `make test`. The rest is for contributors.
# Each rule that needs Python first creates .venv, or renews it when it is older than the lock.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
NOTEBOOKS := $(wildcard notebooks/*.py)
WORKERS ?= 2

.PHONY: help book links test lint pair lock reproduce clean
.DEFAULT_GOAL := help

help:
	@echo "make book       build and run the book; prints the address of its first page"
	@echo "make test       run the tests"
	@echo "make reproduce  run every notebook and experiment, and report on the claims; options in ARGS"
	@echo "make lint       check style, types, and that notebooks are paired and clean"
	@echo "make pair       bring each notebook and its script into step, without outputs"
	@echo "make lock       compile requirements.txt from pyproject.toml"
	@echo "make clean      remove what was built (the environment stays; delete .venv to renew it)"

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "mmtutorial needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	         "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up .venv from requirements.txt (some minutes, the first time only)"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv || \
	  { echo "Python could not create an environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

links:
	@$(PYTHON) book/links.py

book: $(READY) links
	@$(BIN)/jupyter-book build -W -n --keep-going book/
	@echo "The book: file://$(CURDIR)/book/_build/html/index.html"

test: $(READY)
	@$(BIN)/python -m pytest -n $(WORKERS)

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python notebooks/check.py

pair: $(READY)
	@$(BIN)/jupytext --quiet --sync notebooks/[0-9]*.py
	@$(BIN)/python notebooks/check.py --clean

reproduce: $(READY)
	@$(BIN)/mmtutorial reproduce --jobs $(WORKERS) $(ARGS)

lock: $(READY)
	@$(BIN)/python -m pip install --quiet "uv>=0.5"
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev \
	  --custom-compile-command "make lock   (source: pyproject.toml, with the extra dev)" \
	  pyproject.toml --output-file requirements.txt

clean:
	@rm -rf book/_build out build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
