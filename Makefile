# Each target does its own set-up. ARGS go to the command behind it: make test ARGS="-k journal -x"
PYTHON ?= python3
ARGS ?=
# Most tests wait for processes rather than compute, so that two processors serve four. 0 runs all in one process.
JOBS ?= 4
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup second run start stop test check format bench soak lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## make or refresh .venv from requirements.lock (TBOT_PLAIN=1: without uv; TBOT_PYTHON=...: which Python)
	@$(PYTHON) bootstrap.py

second: setup ## make or refresh .tools/ib_insync, where the TWS adapter is tested on the older of its SDKs
	@$(PYTHON) bootstrap.py --second

run: setup ## run the whole fleet against the simulators; nothing to configure
	@$(BIN)/tbot demo $(ARGS)

start: setup ## start the fleet that env/ configures, under supervisord
	@mkdir -p run logs state
	@$(BIN)/supervisord -c supervisord.conf

stop: ## stop that fleet
	@$(BIN)/supervisorctl -c supervisord.conf shutdown

test: check second ## everything in check, then every test, JOBS=... of them at once
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

check: setup ## lint, formatting, types, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## fix what ruff can fix, and format
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: setup ## benchmarks beside their peers
	@$(BIN)/python -m bench $(ARGS)

soak: setup ## the fault tests at their full dose: hours, some of them as root
	@$(BIN)/python -m pytest tests/faults client/tests/faults --full-dose --timeout=7200 -m "soak or not soak" $(ARGS)

lock: setup ## resolve the dependencies anew and rewrite the lock files (ARGS="--upgrade" or "--upgrade-package NAME")
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--group build -o requirements-build.lock $(ARGS)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		pyproject.toml client/pyproject.toml --all-extras --group dev -c requirements-build.lock -o requirements.lock $(ARGS)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--group insync -c requirements.lock -o requirements-insync.lock $(ARGS)

clean: ## remove .venv, .tools and caches; never env/, logs/, run/ or state/
	@rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
