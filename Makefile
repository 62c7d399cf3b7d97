PY := .venv/bin/python
ROW ?=

.PHONY: help setup dev test check format bench faults docs lock

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: ## install everything into .venv
	@scripts/venv dev

dev: setup ## run Tael with the simulators and leave it running
	@$(PY) -m tael_demo

# Tests wait for disks, sockets and children more than they compute, so there are more workers than cores.
PARALLEL := -n 6 --dist worksteal

test: setup ## all tests
	@$(PY) -m pytest $(PARALLEL)

check: setup ## format, lint, types, layers, then all tests; what CI runs
	@$(PY) -m ruff format --check src tests benchmarks
	@$(PY) -m ruff check src tests benchmarks
	@$(PY) -m basedpyright
	@.venv/bin/lint-imports --no-cache
	@$(PY) -m pytest $(PARALLEL)

format: setup ## format the code and fix what can be fixed
	@$(PY) -m ruff format src tests benchmarks
	@$(PY) -m ruff check --fix src tests benchmarks

bench: setup ## all benchmarks, or one: make bench ROW=ledger-concurrent
	@$(PY) -m benchmarks $(ROW)

faults: setup ## the long fault runs (twenty kills of each kind)
	@.venv/bin/tael faults ledger --rounds 20
	@.venv/bin/tael faults recharge --rounds 20
	@.venv/bin/tael faults payments --rounds 20

docs: setup ## regenerate docs/errors.md and docs/openapi.json
	@.venv/bin/tael errors --write docs/errors.md
	@TAEL_HOME=$$(mktemp -d) .venv/bin/tael openapi --write docs/openapi.json

lock: setup ## pin all dependencies with hashes
	@$(PY) -m pip install -q pip-tools
	@for extra in demo dev; do \
	  $(PY) -m piptools compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	    --no-header --strip-extras --allow-unsafe --extra $$extra -o requirements/$$extra.txt pyproject.toml; done
