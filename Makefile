# `make demo` and `make test` need python3 (3.10 or later), and a package index for the first run.
# Another Python: `make clean`, then `make test PYTHON=python3.13`.
PYTHON ?= python3
FUZZ_SECONDS ?= 3600
SOAK_MINUTES ?= 10
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --editable
# More workers than processors, since most tests wait for a server. A file stays with one worker, in the
# order of tests/conftest.py.
PYTEST := pytest -q -n 6 --dist loadfile --no-loadscope-reorder
# Some machines forbid it; then each worker, and each program that a test starts, compiles it all anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: mypy basedpyright $(shell sed -nE 's/^([a-z-]+):.*## .*/\1/p' Makefile)
help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1	\2/p' Makefile | expand -t 18

# A stamp file for each thing that was installed, outdated when one of these is newer.
SOURCES := pyproject.toml $(wildcard sse_proto/*.[ch])
$(VENV)/.made:
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@
# What users install. So the demo need not wait for the tools of the next one.
$(VENV)/.demo: $(SOURCES) | $(VENV)/.made
	$(INSTALL) '.[httpxr]'
	@touch $@
# niquests brings a fork of urllib3 that by default takes the place of urllib3 itself; here both are
# needed, to be told apart.
$(VENV)/.dev: $(SOURCES) | $(VENV)/.made
	URLLIB3_NO_OVERRIDE=1 PIP_NO_BINARY=urllib3-future $(INSTALL) '.[dev]'
	@touch $(VENV)/.demo $@
$(VENV)/.bench: $(VENV)/.dev
$(VENV)/.docs $(VENV)/.bench: $(SOURCES) | $(VENV)/.made
	$(INSTALL) '.[$(@:$(VENV)/.%=%)]'
	@touch $@
demo: $(VENV)/.demo ## watch live streams, some ten seconds
	@$(BIN)/sse-tail --demo
test: lint types docs tests ## lint, types, docs, all tests with coverage
docs: $(VENV)/.docs ## the site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
lint: $(VENV)/.dev ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
# At once, but not beside the tests, many of which measure time.
types: $(VENV)/.dev ## the type checkers
	@$(MAKE) --no-print-directory -j2 mypy basedpyright
	@! $(BIN)/python -c "import sse_proto._speedups" 2>/dev/null || \
		$(BIN)/stubtest --concise sse_proto._speedups
mypy: ; $(BIN)/mypy
basedpyright: ; $(BIN)/basedpyright --pythonpath $(BIN)/python
# What takes many streams, or large ones, reaches no line that the others do not reach, and to measure
# it takes three times as long.
UNMEASURED := tests/random tests/native tests/core/test_agreement.py tests/core/test_costs.py \
	tests/core/test_vectors.py tests/adapters/test_http2_load.py \
	tests/adapters/test_subscribe_faults.py tests/kit/test_house.py tests/testing/test_misreadings.py \
	tests/testing/test_mutants.py
# The decoder's tests run on both twins anyway; the last ones use the chosen one, with C off.
tests: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m $(PYTEST) $(UNMEASURED:%=--ignore %)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=99
	$(BIN)/$(PYTEST) $(UNMEASURED)
	SSE_PROTO_PURE_PYTHON=1 $(BIN)/pytest -q tests/core/test_iterate.py \
		tests/core/test_public_api.py tests/core/test_speedups.py -k "not twins and not references"
bench: $(VENV)/.bench ## conformance, decoders side by side, growth, adapters, payloads, plots
	set -e; for run in conformance bench_adapter bench_clients bench_raw reconnect_real \
		"reconnect_storm simulate" "bench_decoder --json $(VENV)/decoder.json" \
		"bench_growth --json $(VENV)/growth.json" "bench_typed --json $(VENV)/typed.json" \
		"plots $(VENV)/decoder.json $(VENV)/growth.json $(VENV)/typed.json"; do $(BIN)/python -m benchmarks.$$run; done
# A run begins with the corpus that the last one built; an input that fails is written to crash-*.
fuzz: $(VENV)/.dev ## C against Python against the standard, for FUZZ_SECONDS
	@$(BIN)/python -m pip install --quiet --only-binary :all: atheris || \
		{ echo "no atheris for this Python: make clean, make fuzz PYTHON=python3.12"; exit 1; }
	@mkdir -p $(VENV)/corpus
	$(BIN)/python -m tests.fuzz.fuzz_decoder $(VENV)/corpus -max_total_time=$(FUZZ_SECONDS)
fuzz-native: ## the core in C against the standard, RUNS inputs to libFuzzer (needs clang)
	tests/native/run.sh fuzz $(RUNS)
exhaust: ## every stream of up to TOKENS tokens, in every cut (needs cc)
	tests/native/run.sh exhaust $(TOKENS)
prove: ## no undefined behaviour in the core (needs frama-c)
	tests/native/run.sh prove
oracle: $(VENV)/.dev ## a browser and Node beside the decoder (needs chromium, node, npm)
	$(BIN)/python -m tests.oracle --npm $(VENV)/oracle
# What is not there is left out: Node and npm, a C compiler, Chromium.
matrix: $(VENV)/.bench ## sse-conformance against every parser there is
	@mkdir -p $(VENV)/npm
	cp examples/conformance/package.json $(VENV)/npm
	npm install --no-package-lock --no-audit --no-fund --loglevel=error --prefix $(VENV)/npm
	$(BIN)/python -m examples.conformance.matrix --npm $(VENV)/npm
mutants: $(VENV)/.dev ## whether the suite finds a hundred changed decoders out
	$(BIN)/python -m tests.mutants
soak: $(VENV)/.dev ## sync and async subscriptions under faults, for SOAK_MINUTES
	$(BIN)/python -m tests.soak --minutes $(SOAK_MINUTES)
storm: $(VENV)/.dev ## a thousand streams left at random over one HTTP/2 connection, beside ten long ones
	HTTP2_LEAVES=1000 $(BIN)/$(PYTEST) tests/adapters/test_http2_load.py -k random_leaves --timeout 300
sanitize: $(VENV)/.dev ## the tests of the decoder in C under ASan and UBSan (needs gcc)
	PYTHON=$(CURDIR)/$(BIN)/python tests/sanitize.sh $(SANITIZE)
fmt: $(VENV)/.dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
clean: ## remove .venv and everything that was built
	rm -rf $(VENV) build dist site *.egg-info sse_proto/*.so .coverage* .hypothesis .*_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
