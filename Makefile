# `make demo` and `make test` need python3 (3.10 or later), and a package index for the first run.
# Another Python: `make clean`, then `make test PYTHON=python3.13`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

TYPED := sse_proto adapters/sse_httpxr tests benchmarks docs/demo

.DEFAULT_GOAL := help
.PHONY: help demo test lint types mypy basedpyright tests bench fmt clean

help:
	@echo "make demo    watch live streams, some ten seconds"
	@echo "make test    lint, types, all tests with coverage"
	@echo "make bench   conformance, decoders side by side, growth, the adapter"
	@echo "make fmt     format the code"
	@echo "make clean   remove $(VENV) and everything that was built"

# -- set-up: a stamp file for what was installed, outdated when one of these is newer --------------

SOURCES := pyproject.toml sse_proto/_speedups.c

$(VENV)/.made:
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# What users install. So the demo need not wait for the tools of the next one.
$(VENV)/.demo: $(SOURCES) | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --editable '.[httpxr]'
	@touch $@

$(VENV)/.dev: $(SOURCES) | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(VENV)/.demo $@

# -- what to do with it ----------------------------------------------------------------------------

demo: $(VENV)/.demo
	@$(BIN)/python docs/demo/demo.py

test: lint types tests

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Both at once. Not beside the tests, many of which measure time.
types: $(VENV)/.dev
	@$(MAKE) --no-print-directory -j2 mypy basedpyright

mypy: $(VENV)/.dev
	$(BIN)/mypy $(TYPED)

basedpyright: $(VENV)/.dev
	$(BIN)/basedpyright --pythonpath $(BIN)/python $(TYPED)

tests: $(VENV)/.dev
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report --fail-under=100

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.conformance
	$(BIN)/python -m benchmarks.bench_decoder
	$(BIN)/python -m benchmarks.bench_growth
	$(BIN)/python -m benchmarks.bench_adapter

fmt: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info sse_proto/*.so .coverage .coverage.* .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
