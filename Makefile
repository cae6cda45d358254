# make help lists the targets. Each sets up what it needs, in .venv.
VENV    := .venv
BIN     := $(VENV)/bin
PYTHON  ?= python3
READY   := $(VENV)/.ready
SOURCES := plugins dags local_aws tests

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast lint fmt lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1|\2/' | column -t -s '|'

setup: $(READY) ## make the virtual environment

run: $(READY) ## the pipelines on sample data: stand-in for AWS and real Airflow, until Ctrl-C (ONCE=1: until the summary)
	@PYTHONPATH=plugins $(BIN)/python -m local_aws.run

test: $(READY) ## every test, the real Airflow included
	$(BIN)/python -m pytest

test-fast: $(READY) ## the tests that need no Airflow
	$(BIN)/python -m pytest -m "not e2e"

lint: $(READY) ## style, types
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	PYTHONPATH=plugins $(BIN)/mypy

fmt: $(READY) ## format the code
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

lock: $(READY) ## resolve requirements*.txt into constraints.txt anew
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate --upgrade \
	  requirements.txt requirements-dev.txt -o constraints.txt

clean: ## remove the virtual environment and all local state
	rm -rf $(VENV) .local .pytest_cache .mypy_cache .ruff_cache .hypothesis

# uv resolves and installs in seconds; where it cannot be had, pip does the same in minutes.
$(READY): requirements.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is " + sys.version)'
	@if command -v uv >/dev/null; then uv venv -q --clear --seed --python "$$(command -v $(PYTHON))" $(VENV); else $(PYTHON) -m venv --clear $(VENV); fi
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv || echo "no uv: going on with pip"
	@echo "installing into $(VENV) ..."
	@if [ -x $(BIN)/uv ]; then installer="$(BIN)/uv pip install --python $(BIN)/python"; else installer="$(BIN)/python -m pip install"; fi; \
	  $$installer -q -r requirements.txt -r requirements-dev.txt -c constraints.txt
	@touch $@
