# Everything a fresh machine needs: `make demo` and `make test`.

CARGO ?= cargo
PYTHON ?=
MXCP = target/debug/mxcp
ifdef CARGO_TARGET_DIR
MXCP = $(CARGO_TARGET_DIR)/debug/mxcp
endif

.PHONY: setup build demo test differential corpus agreement dbt-kill hostile lint fmt bench clean

## Python with a shared libpython, the virtual environment, the prebuilt DuckDB library
setup:
	@PYTHON="$(PYTHON)" bash .setup/setup.sh

build: setup
	@$(CARGO) build --locked

## Build the dbt layer of fixtures/customer_360, check it, test it, call a tool, show a mistake
demo: build
	@bash .setup/demo.sh $(MXCP)

test: setup
	@$(CARGO) test --locked --workspace

## The projects of fixtures/compat through the Python product and through mxcp, every difference explained
differential: build
	@bash .setup/reference.sh
	@VIRTUAL_ENV=$(CURDIR)/.venv .venv/bin/python fixtures/compat/differential.py $(MXCP) .reference/bin/mxcp

## Projects that want to do harm, or are too much: nothing may happen
hostile: build
	@.venv/bin/python tests/hostile/run.py $(MXCP)

## Mistakes planted in fixtures/shop, one at a time: how many are found, and on the right line
corpus: build
	@.venv/bin/python tests/corpus/run.py $(MXCP)

## Ten thousand SELECTs to DuckDB's own binder and to mxcp: errors, names and types must agree
agreement: build
	@.venv/bin/python -c 'import duckdb' 2>/dev/null || .venv/bin/python -m pip install --quiet duckdb==2.0.0
	@.venv/bin/python tests/agreement/run.py $(MXCP)

## A build of 200 dbt models, killed 20 times: every relation is the old or the new one
dbt-kill: build
	@.venv/bin/python -c 'import duckdb' 2>/dev/null || .venv/bin/python -m pip install --quiet duckdb==2.0.0
	@.venv/bin/python tests/dbt_kill/run.py $(MXCP)

lint: setup
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

fmt:
	@$(CARGO) fmt --all

## Times of checking and building, on projects of growing size
bench: build
	@edits=$$($(CARGO) test --locked --workspace --test edits --no-run --message-format=json 2>/dev/null \
	  | .venv/bin/python -c 'import json, sys; print([m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable") and m["target"]["name"] == "edits"][-1])') \
	&& LD_LIBRARY_PATH=$(CURDIR)/.duckdb .venv/bin/python .setup/bench.py $(MXCP) --edits "$$edits" $(BENCH)

clean:
	@$(CARGO) clean
