# `make demo` and `make test` need python3 (3.10 or later), and a package index for the first run.
# Another Python: `make clean`, then `make test PYTHON=python3.13`.

PYTHON ?= python3
FUZZ_SECONDS ?= 3600
SOAK_MINUTES ?= 10
VENV := .venv
BIN := $(VENV)/bin

TYPED := sse_proto adapters tests benchmarks examples tools

.DEFAULT_GOAL := help
.PHONY: help demo test docs bench fuzz soak oracle sanitize fmt clean lint types mypy basedpyright
.PHONY: tests tests-core tests-programs tests-random tests-httpxr tests-httpx tests-subscribe
.PHONY: tests-subscribe-httpx tests-pure

help:
	@echo "make demo      watch live streams, some ten seconds"
	@echo "make test      lint, types, all tests with coverage"
	@echo "make docs      the site, in site/"
	@echo "make bench     conformance, decoders side by side, growth, the adapter, raw payloads, plots"
	@echo "make fuzz      C against Python against the standard, FUZZ_SECONDS=$(FUZZ_SECONDS)"
	@echo "make soak      subscriptions under faults, SOAK_MINUTES=$(SOAK_MINUTES)"
	@echo "make oracle    a browser and Node beside the decoder (needs chromium, node, npm)"
	@echo "make sanitize  the tests of the decoder in C under ASan and UBSan (needs gcc)"
	@echo "make fmt       format the code"
	@echo "make clean     remove $(VENV) and everything that was built"

# -- set-up: a stamp file for what was installed, outdated when one of these is newer --------------

SOURCES := pyproject.toml sse_proto/_speedups.c sse_proto/sse_core.h sse_proto/_docstrings.h

$(VENV)/.made:
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# What users install. So the demo need not wait for the tools of the next one.
$(VENV)/.demo: $(SOURCES) | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --editable '.[httpxr]'
	@touch $@

# niquests brings a fork of urllib3 that by default takes the place of urllib3 itself; here both are
# needed, to be told apart.
$(VENV)/.dev: $(SOURCES) | $(VENV)/.made
	URLLIB3_NO_OVERRIDE=1 PIP_NO_BINARY=urllib3-future \
		$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(VENV)/.demo $@

$(VENV)/.docs: $(SOURCES) | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

# Other people's decoders, and what draws the plots.
$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@touch $@

# -- what to do with it ----------------------------------------------------------------------------

demo: $(VENV)/.demo
	@$(BIN)/sse-tail --demo

test: lint types docs tests tests-pure

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

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

# Several at once: most of the tests wait for a server. (Not with the shell's `&`, which would make
# them deaf to Ctrl-C.) Each writes a log; they are printed in the end.
PARTS := httpxr httpx subscribe-httpx programs core subscribe random

tests: $(VENV)/.dev
	@$(BIN)/coverage erase
	@$(MAKE) --no-print-directory --keep-going -j4 $(PARTS:%=tests-%); status=$$?; \
		cat $(PARTS:%=$(VENV)/tests-%.log); exit $$status
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=100

COVERED := $(BIN)/coverage run --parallel-mode -m pytest

# Random input reaches no line that the others do not reach, and measuring that would make it twice
# as slow.
HTTPX := $(addprefix tests/adapters/test_,behaviour.py sse_httpx.py)
SUBSCRIBE := $(addprefix tests/adapters/test_subscribe,.py _closing.py _faults.py)
SUBSCRIBE_HTTPX := tests/adapters/test_subscribe_httpx.py

tests-core tests-programs:
	@$(COVERED) tests/$(@:tests-%=%) >$(VENV)/$@.log 2>&1

tests-random:
	@$(BIN)/python -m pytest tests/random >$(VENV)/$@.log 2>&1

tests-httpxr:
	@$(COVERED) tests/adapters $(HTTPX:%=--ignore=%) $(SUBSCRIBE:%=--ignore=%) \
		--ignore=$(SUBSCRIBE_HTTPX) >$(VENV)/$@.log 2>&1

tests-subscribe:
	@$(COVERED) $(SUBSCRIBE) >$(VENV)/$@.log 2>&1

tests-httpx:
	@$(COVERED) $(HTTPX) >$(VENV)/$@.log 2>&1

tests-subscribe-httpx:
	@$(COVERED) $(SUBSCRIBE_HTTPX) >$(VENV)/$@.log 2>&1

# The decoder's tests run on both twins anyway. This is what uses the chosen one, with C off.
tests-pure: $(VENV)/.dev
	SSE_PROTO_PURE_PYTHON=1 $(BIN)/python -m pytest -q tests/core/test_iterate.py \
		tests/core/test_public_api.py tests/core/test_speedups.py -k "not twins and not references"

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.conformance
	$(BIN)/python -m benchmarks.bench_decoder --json $(VENV)/decoder.json
	$(BIN)/python -m benchmarks.bench_growth --json $(VENV)/growth.json
	$(BIN)/python -m benchmarks.bench_adapter
	$(BIN)/python -m benchmarks.bench_clients
	$(BIN)/python -m benchmarks.bench_raw
	$(BIN)/python -m benchmarks.reconnect_storm simulate
	$(BIN)/python -m benchmarks.reconnect_real
	$(BIN)/python -m benchmarks.plots $(VENV)/decoder.json $(VENV)/growth.json

# atheris has wheels for some Pythons only; elsewhere it wants clang. The corpus that a run builds is
# where the next one begins; an input that fails is written to crash-* here.
fuzz: $(VENV)/.dev
	@$(BIN)/python -m pip install --quiet --only-binary :all: atheris || \
		{ echo "no atheris for this Python: make clean, make fuzz PYTHON=python3.12"; exit 1; }
	@mkdir -p $(VENV)/corpus
	$(BIN)/python -m tests.fuzz.fuzz_decoder $(VENV)/corpus -max_total_time=$(FUZZ_SECONDS)

# Chromium, eventsource-parser and Node are asked; docs/explanation/oracle.md is renewed. Fails on a
# difference that tests/oracle/known.py does not have.
oracle: $(VENV)/.dev
	$(BIN)/python -m tests.oracle --npm $(VENV)/oracle

# Sync and async subscriptions under faults, for SOAK_MINUTES.
soak: $(VENV)/.dev
	$(BIN)/python -m tests.soak --minutes $(SOAK_MINUTES)

sanitize: $(VENV)/.dev
	PYTHON=$(CURDIR)/$(BIN)/python tests/sanitize.sh $(SANITIZE)

fmt: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info sse_proto/*.so .coverage .coverage.* .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
