# Everything a newcomer needs. `make help` lists the targets.
# Works with GNU make and any Python >= 3.11; PYTHON=python3.12 chooses another.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN    := $(VENV)/Scripts
endif
STAMP  := $(VENV)/.installed
JOBS   ?= 4

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit lint types bench docs clean down

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with PYTHON=…" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the packages into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

setup: $(STAMP) ## create .venv and install the packages

demo: $(STAMP) ## run sender -> processor -> receiver on a local cloud
	@$(BIN)/orchestrator demo

test: lint types unit ## lint, types and tests

unit: $(STAMP) ## the tests alone
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile tests || { \
	  test $$? -eq 1 || exit 2; \
	  echo "What failed while sharing the machine runs once more, alone."; \
	  $(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none tests; }

lint: $(STAMP) ## ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP) ## strict type check
	@$(BIN)/mypy

bench: $(STAMP) ## measure; prints ratios side by side
	@$(BIN)/python -m tests.benchmarks

docs: $(STAMP) ## write docs/reference from the types and commands
	@$(BIN)/python docs/generate.py

down: ## stop the local cloud; its state stays
	@if test -x $(BIN)/orchestrator; then $(BIN)/orchestrator down; fi

clean: ## stop the local cloud and remove what was made here
	@if test -x $(BIN)/orchestrator; then $(BIN)/orchestrator local down || true; fi
	@rm -rf .orchestrator $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
