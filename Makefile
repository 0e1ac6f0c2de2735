# What a newcomer runs: `make demo` and `make test`. Each target creates what it needs.
#
#   PYTHON=python3.12   the interpreter of the virtual environment (at least 3.10)
#   VENV=.venv          where that is
#   URL=postgresql://.. the database of `make demo`; SQLite without it
#   PYTEST_ARGS=..      more arguments for pytest
#   WORKERS=2           processes that run tests side by side
#   FUZZ_SECONDS=600    the length of `make fuzz`

PYTHON ?= python3
VENV ?= .venv
URL ?=
PYTEST_ARGS ?=
WORKERS ?= 2
FUZZ_SECONDS ?= 600

bin := $(VENV)/bin
version := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ready := $(VENV)/.ready-$(version)
built := $(VENV)/.built-$(version)
clients := $(VENV)/.clients-$(version)
tools := $(VENV)/.tools-$(version)
core := setup.py $(wildcard nexusql/_speedups/*.py nexusql/_speedups/*.pyx nexusql/_speedups/*.pxd)

compiled := NEXUSQL_PURE= NEXUSQL_REQUIRE_SPEEDUPS=1 NEXUSQL_EXPECT=cython
interpreted := NEXUSQL_PURE=1 NEXUSQL_REQUIRE_SPEEDUPS= NEXUSQL_EXPECT=python
# `pytest`, not `python -m pytest`: that would put the checkout before an installed package.
pytest := $(bin)/pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)
# What these test has no part in the core that could differ; `make test-full` runs them interpreted, too.
indifferent := aio backends cli clients faults groups migrations mssql observing pool project transactions typing
services := $(bin)/python scripts/services
# Tools that have no wheels for rare machines: $(call where_installed,tool,command)
where_installed = @if [ -x $(bin)/$(1) ]; then echo '$(2)'; $(2); else echo "$(1) has no wheel for this machine: left out"; fi

.DEFAULT_GOAL := help
.PHONY: help demo test test-full lint suite coverage fuzz bench build wheels docs services services-stop clean

help:
	@echo "make demo [URL=postgresql://..]  the main job: 100,000 metrics and 10,000 checkpoints, written and read back"
	@echo "make test       lint, then every test on every database, compiled and interpreted"
	@echo "make test-full  the same with the long rounds"
	@echo "make lint       ruff, ruff format, mypy --strict, pyright on what users write, and what the workflows need"
	@echo "make coverage   branch coverage of the package"
	@echo "make fuzz       the compiled core under sanitizers on hostile input, FUZZ_SECONDS=600 long"
	@echo "make bench      benchmarks/RESULTS.md and its plots, in some 15 minutes"
	@echo "make build      sdist and wheel in dist/"
	@echo "make wheels     what a release consists of, in dist/, each installed and tested, in some 10 minutes"
	@echo "make docs       the documentation as a site in site/; fails where a link leads nowhere"
	@echo "make services   start the database servers that are missing (services-stop ends them)"
	@echo "make clean      remove all of it"

# An existing environment of the same Python version is kept, one of another version replaced.
$(ready): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "nexusql needs Python 3.10 or later; name one: make PYTHON=python3.12 ..")'
	@$(bin)/python -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(version)")' 2>/dev/null \
		|| $(PYTHON) -m venv --clear $(VENV)
	NEXUSQL_PURE= $(bin)/pip install --quiet --disable-pip-version-check -e '.[dev,dev-odbc]'
	@rm -f $(VENV)/.built-*
	@touch $@

# The compiled core is built into the checkout; without a compiler setup.py says so and the interpreted one is used.
$(built): $(ready) $(core)
	NEXUSQL_PURE= $(bin)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

# Releases of ia_modules, in folders that only tests/clients looks into.
$(clients): $(ready) scripts/clients.py
	$(bin)/python scripts/clients.py
	@touch $@

# What only a release and the documentation need. The compiled core is in the checkout already and stays there.
$(tools): $(built)
	NEXUSQL_PURE=1 $(bin)/pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[docs,release]'
	@touch $@

demo: $(built)
	$(bin)/python -m nexusql.cli.demo $(URL)

lint: $(built)
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/zizmor --offline --quiet --strict-collection .
	$(call where_installed,pyright,PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(bin)/pyright --pythonpath $(bin)/python)
	$(call where_installed,actionlint,PATH=$(bin):"$$PATH" actionlint)

test: lint
	$(services) run -- $(MAKE) --no-print-directory suite

test-full: export NEXUSQL_LONG = 1
test-full: test

suite: $(built) $(clients)
	$(compiled) $(pytest)
	$(interpreted) $(pytest) $(if $(NEXUSQL_LONG),,$(indifferent:%=--ignore=tests/%))

coverage: $(built) $(clients)
	$(interpreted) $(services) run -- $(pytest) --cov --cov-report=term --cov-report=html --cov-fail-under=95

fuzz: $(built)
	$(bin)/python scripts/fuzz.py $(FUZZ_SECONDS)

bench: $(built)
	$(bin)/python scripts/peers.py
	$(compiled) $(services) run -- $(bin)/python benchmarks/compare.py --write

build: $(ready)
	rm -rf dist
	$(bin)/python -m build --quiet

wheels: $(tools)
	$(bin)/python scripts/wheels.py

docs: $(tools)
	NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --strict --quiet

services: $(ready)
	$(services) start

services-stop: $(ready)
	$(services) stop

clean:
	@if [ -d .services ]; then $(services) stop; fi
	rm -rf $(VENV) .venv-peers build dist site htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
	rm -rf nexusql.egg-info nexusql/_speedups/*.so demo.db demo.db-*
	find nexusql tests benchmarks scripts -name __pycache__ -prune -exec rm -rf {} +
