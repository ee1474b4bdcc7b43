# Two commands matter: `make up` runs Chrono, `make test` passes the tests. Each sets up what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.python: ## (internal) the virtual environment
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Chrono needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 ...")'
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.core: $(VENV)/.python requirements/core.txt pyproject.toml
	@echo "Installing packages"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/core.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core requirements/dev.txt
	@echo "Installing packages for tests"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

up: $(VENV)/.core ## Run Chrono: collector, core, API, page. ARGS="--market simulated --port 8001"
	@case "$(ARGS)" in *--chain*) CHRONO_ANVIL="$$(infra/dev/anvil.sh)"; export CHRONO_ANVIL;; esac; \
	exec $(BIN)/chrono up $(ARGS)

check: $(VENV)/.core ## Check configuration and dependencies
	@exec $(BIN)/chrono check $(ARGS)

test: lint $(VENV)/.dev ## Lint, type-check and run every test
	@infra/dev/browser.sh > $(VENV)/.browser || true
	@infra/dev/anvil.sh > $(VENV)/.anvil || true
	@CHRONO_BROWSER="$$(cat $(VENV)/.browser)" CHRONO_ANVIL="$$(cat $(VENV)/.anvil)" $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --cov --cov-report=term $(ARGS)

lint: $(VENV)/.dev ## ruff and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/.dev ## Format the sources
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev ## Measure every performance claim, beside its baseline
	@$(BIN)/python -m benchmarks $(ARGS)

lock: ## Resolve pyproject.toml into requirements/*.txt anew
	@$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet uv
	@for set in core dev; do \
	  extras="--extra core"; [ $$set = core ] || extras="$$extras --extra $$set"; \
	  $(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header --no-annotate $$extras pyproject.toml -o requirements/$$set.txt; \
	done; rm -rf $(VENV)-lock

clean: ## Remove what was built (never .chrono, which holds keys and data)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis tests/artifacts benchmarks/artifacts

.PHONY: help up check test lint format bench lock clean

# The Worker at Cloudflare's edge: docs/edge.md.
edge-check: $(VENV)/.core ## Check the Worker as it would be deployed: size, bindings
	@$(BIN)/python infra/edge/wrangler.py deploy --dry-run --outdir ../out $(ARGS)

edge-deploy: $(VENV)/.core ## Deploy the Worker with your Cloudflare account
	@$(BIN)/python infra/edge/wrangler.py deploy $(ARGS)

edge-dev: $(VENV)/.core ## Run the Worker on this machine against the core on this machine
	@exec $(BIN)/python infra/edge/dev.py $(ARGS)

edge-wrangler: $(VENV)/.core ## Any other wrangler command: ARGS="login"
	@$(BIN)/python infra/edge/wrangler.py $(ARGS)

.PHONY: edge-check edge-deploy edge-dev edge-wrangler
