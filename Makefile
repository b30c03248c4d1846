# Everything a fresh machine needs: `make demo` and `make test`.

CARGO ?= cargo
PYTHON ?=
MXCP = target/debug/mxcp
ifdef CARGO_TARGET_DIR
MXCP = $(CARGO_TARGET_DIR)/debug/mxcp
endif

# The dev profile leaves most of our own crates unoptimised, because tests compile more often than they run.
# `make bench OPTIMISED=1` and its like compile these again, which is nearer to what users run; everything
# else stays as it is. It takes minutes, and so does the way back.
ifdef OPTIMISED
FLAGS = $(foreach crate,mxcp $(addprefix mxcp_,catalog compiler dbt ide lsp),--config 'profile.dev.package.$(crate).opt-level=1')
endif

TOOLBOX = target/toolbox/node_modules/@toolbox-sdk/server-linux-x64/bin/toolbox

.PHONY: setup build demo test differential corpus agreement hostile conformance chaos abuse clients dbt-oracle dbt-killed vscode vscode-host editors soak lint fmt bench bench-edit bench-watch bench-dbt bench-serve clean

## Python with a shared libpython, the virtual environment, the prebuilt DuckDB library
setup:
	@PYTHON="$(PYTHON)" bash .setup/setup.sh

build: setup
	@$(CARGO) build --locked $(FLAGS)

## Build the dbt layer of fixtures/customer_360, check it, test it, call a tool, show a mistake
demo: build
	@bash .setup/demo.sh $(MXCP)

test: setup
	@$(CARGO) test --locked --workspace

## The projects of fixtures/compat through the Python product and through mxcp, every difference explained
differential: build
	@bash .setup/reference.sh
	@VIRTUAL_ENV=$(CURDIR)/.venv .venv/bin/python fixtures/compat/differential.py $(MXCP) .reference/bin/mxcp

## The dbt projects of fixtures/dbt through dbt and through mxcp, every difference listed
dbt-oracle: build
	@bash .setup/dbt.sh
	@.dbt/bin/python tests/dbt_oracle/run.py $(MXCP) .dbt/bin/python $(ORACLE)

## Runs of two hundred models, killed at random moments: every relation must be the old one or the new one
dbt-killed: build
	@.venv/bin/python -c 'import duckdb' 2>/dev/null || .venv/bin/python -m pip install --quiet duckdb==2.0.0
	@.venv/bin/python tests/dbt_oracle/killed.py $(MXCP)

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

lint: setup
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

fmt:
	@$(CARGO) fmt --all

## A minute of edits, signals and vanishing clients while tools are called: no call may fail
chaos: build
	@.venv/bin/python tests/chaos/run.py $(MXCP) $(CHAOS)

## The official conformance suite of the protocol, both requirement sets; needs npm
conformance: build
	@.venv/bin/python tests/conformance/run.py $(MXCP) target/conformance $(CONFORMANCE)

## The extension for Visual Studio Code, editors/vscode/mxcp.vsix; needs npm
vscode:
	@cd editors/vscode && npm ci --silent && npm run --silent build && npm test --silent && npm run --silent package

## VS Code itself, its server from npm and its window in Chromium, runs the packaged extension; needs npm and Chromium
vscode-host: build vscode
	@bash tests/editors/vscode_host.sh $(MXCP) .vscode-host

## Clients that share no code with it drive `mxcp lsp`: the protocol libraries of VS Code and of Python, and Neovim; needs npm and nvim
editors: build vscode
	@bash .setup/editors.sh
	@cd editors/vscode && MXCP=$(abspath $(MXCP)) npm run --silent test:server
	@.editors/bin/python tests/editors/pygls_client.py $(MXCP)
	@.editors/bin/python tests/editors/neovim.py $(MXCP)

## Clients that want to do harm: limits hold, nothing leaks, the server stays up
abuse: build
	@.venv/bin/python tests/abuse/run.py $(MXCP) $(ABUSE)

## The official Python and TypeScript clients call everything in fixtures/customer_360; needs npm
clients: build
	@.venv/bin/python tests/clients/run.py $(MXCP) target/clients

## Times of checking and building, on projects of growing size
bench: build
	@edits=$$($(CARGO) test --locked --workspace $(FLAGS) --test edits --no-run --message-format=json 2>/dev/null \
	  | .venv/bin/python -c 'import json, sys; print([m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable") and m["target"]["name"] == "edits"][-1])') \
	&& LD_LIBRARY_PATH=$(CURDIR)/.duckdb .venv/bin/python .setup/bench.py $(MXCP) --edits "$$edits" $(BENCH)

## Times of edits in an open editor, over stdio, with the queries that ran again beside them
bench-edit: build
	@edits=$$($(CARGO) test --locked --workspace $(FLAGS) --test edits --no-run --message-format=json 2>/dev/null \
	  | .venv/bin/python -c 'import json, sys; print([m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable") and m["target"]["name"] == "edits"][-1])') \
	&& LD_LIBRARY_PATH=$(CURDIR)/.duckdb .venv/bin/python .setup/bench_edit.py $(MXCP) --edits "$$edits" $(BENCH)

## An hour of random edits in an open editor: no panic, no drift, no growth; `make soak SOAK="--seconds 60"`
soak: build
	@.venv/bin/python tests/lsp_soak/run.py $(MXCP) $(SOAK)

## Times of `validate --watch`, from a written file to its result
bench-watch: build
	@.venv/bin/python .setup/bench_watch.py $(MXCP) $(BENCH)

## Times of the dbt layer beside those of dbt, on the same projects in the same run
bench-dbt: build
	@bash .setup/dbt.sh
	@VIRTUAL_ENV=$(CURDIR)/.venv .dbt/bin/python .setup/bench_dbt.py $(MXCP) .dbt/bin/dbt $(BENCH)

## Calls of one tool: a bare handler, mxcp, the Python product, MCP Toolbox; with npm, the latter is fetched
bench-serve: build
	@bash .setup/reference.sh
	@[ -x $(TOOLBOX) ] || npm install --silent --no-audit --no-fund --prefix target/toolbox @toolbox-sdk/server@1.12.0 || true
	@load=$$($(CARGO) test --locked --workspace $(FLAGS) --test load --no-run --message-format=json 2>/dev/null \
	  | .venv/bin/python -c 'import json, sys; print([m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable") and m["target"]["name"] == "load"][-1])') \
	&& LD_LIBRARY_PATH=$(CURDIR)/.duckdb .venv/bin/python .setup/bench_serve.py $(MXCP) "$$load" --reference .reference/bin/mxcp --toolbox $(TOOLBOX) $(BENCH)

clean:
	@$(CARGO) clean
