# make help lists the targets. Each sets up what it needs, in .venv.
VENV    := .venv
BIN     := $(VENV)/bin
PYTHON  ?= python3
READY   := $(VENV)/.ready
REQUIREMENTS := requirements.txt requirements-stack.txt requirements-dev.txt
SOURCES := plugins dags local_aws tests benchmarks

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast test-celery faults bench lint secrets fmt lock audit managed pictures clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1|\2/' | column -t -s '|'

setup: $(READY) ## make the virtual environment

run: $(READY) ## the pipelines on sample data: stand-in for AWS and real Airflow, until Ctrl-C (ONCE=1: until the summary)
	@PYTHONPATH=plugins $(BIN)/python -m local_aws.run

# The modules that boot Airflow kill processes and measure seconds: one that failed is judged a second time, by itself.
FAILED := import json; print(*sorted({test.split("::")[0] for test in json.load(open(".pytest_cache/v/cache/lastfailed"))}))
ALONE  = { echo "pytest ended with $$?"; modules=$$($(BIN)/python -c '$(FAILED)') && test -n "$$modules" && $(BIN)/python -m pytest -m $(1) $$modules; }

test: $(READY) ## every test, the real Airflow included
	$(BIN)/python -m pytest -n logical -m "not e2e and not celery"
	$(BIN)/python -m pytest --cache-clear -m e2e || $(call ALONE,e2e)

test-fast: $(READY) ## the tests that need no Airflow
	$(BIN)/python -m pytest -n logical -m "not e2e and not celery"

test-celery: $(READY) ## Airflow on the CeleryExecutor with PostgreSQL, Redis and two workers
	$(BIN)/python -m pytest --cache-clear -m celery || $(call ALONE,celery)

# ONLY=name runs one of them. The results are kept in benchmarks/results/, and the README's table is made of them.
bench: $(READY) ## ours and the baseline side by side: waits, delays, parsing, bytes (ONLY=name: one of them)
	PYTHONPATH=plugins:. $(BIN)/python -m benchmarks $(ONLY)

SEEDS ?= 1 2 3 4 5 6 7 8 9 10

faults: $(READY) ## storms over the real Airflow, one for each of SEEDS="1 2 3", and bad input in bulk
	$(BIN)/python -m pytest tests/fuzz --hypothesis-profile=thorough
	PYTHONPATH=plugins:. $(BIN)/python -m tests.faults.storm $(SEEDS)

lint: $(READY) secrets ## style, types, query files, the CloudFormation template, licences, no secret in the repository
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	PYTHONPATH=plugins $(BIN)/mypy
	PYTHONPATH=plugins $(BIN)/python -m log_audit.lint
	$(BIN)/cfn-lint include/cloudformation/*.yaml
	@if docker compose version >/dev/null 2>&1; \
	then echo docker compose config; env $$(sed -nE 's/^([A-Z_]+)=$$/\1=x/p' .env.example) docker compose --env-file .env.example --profile local config -q; \
	else echo "docker-compose.yaml is not checked: Docker's compose plugin is not here"; fi
	@$(BIN)/pip-licenses --summary >$(VENV)/licenses.txt && echo "licences: all known and allowed"

# What looks like a secret and is none: a value planted in tests says hunter2 or EXAMPLE, the stand-in takes any password,
# and the name of a variable is written in capitals.
# What else must stand here says on its line: pragma: allowlist secret, and why.
PLANTED := hunter2|EXAMPLE|^(xoxb-)?local$$|^[A-Z_]+$$
FORMLESS := --disable-plugin KeywordDetector --disable-plugin Base64HighEntropyString --disable-plugin HexHighEntropyString
FILES_OF := git ls-files --cached --others --exclude-standard --deduplicate --

secrets: $(READY)
	@all=$$($(FILES_OF) . ':!tests' ':!constraints.txt') && tests=$$($(FILES_OF) tests) && \
	  $(BIN)/detect-secrets-hook --exclude-secrets '$(PLANTED)' $$all && \
	  $(BIN)/detect-secrets-hook --exclude-secrets '$(PLANTED)' $(FORMLESS) $$tests && echo "secrets: none"

fmt: $(READY) ## format the code
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

lock: $(READY) ## resolve requirements*.txt into constraints.txt anew
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate --generate-hashes --upgrade \
	  $(REQUIREMENTS) -o constraints.txt

# It asks PyPI for the known vulnerabilities of each pin, and fails where PyPI does not answer. So it is no part of
# lint or CI, which need no network: run it on a schedule, where there is one.
audit: $(READY) ## known vulnerabilities of the pinned packages (needs the network)
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r constraints.txt

MANAGED := .local/managed

# https://docs.aws.amazon.com/mwaa/latest/userguide/working-dags.html; how to use it: docs/managed_airflow.md
managed: ## what a managed Airflow is given, in .local/managed: dags/ with include/ inside, plugins.zip, requirements.txt
	rm -rf $(MANAGED) && mkdir -p $(MANAGED)/dags
	tar -c --exclude=__pycache__ dags plugins | tar -x -C $(MANAGED)
	cp -r include $(MANAGED)/dags/ && echo include/ >$(MANAGED)/dags/.airflowignore
	cd $(MANAGED)/plugins && $(PYTHON) -m zipfile -c ../plugins.zip * .airflowignore && cd .. && rm -r plugins
	sed -E '/^ +--hash/d; s/ \\$$//' constraints.txt >$(MANAGED)/dags/constraints.txt
	{ echo '--constraint "/usr/local/airflow/dags/constraints.txt"'; \
	  sed -nE '/^(apache-airflow-providers-|isal)/{s| *#.*||;p;}' requirements.txt; } >$(MANAGED)/requirements.txt

pictures: $(READY) ## pictures of the page and of an alert for the README, while `make run` runs
	PYTHONPATH=plugins:. $(BIN)/python docs/pictures.py

clean: ## remove the virtual environment and all local state
	rm -rf $(VENV) .local .pytest_cache .mypy_cache .ruff_cache .hypothesis

# uv resolves and installs in seconds; where it cannot be had, pip installs the same set in minutes. A package whose hash
# is not the one in constraints.txt stops either.
$(READY): $(REQUIREMENTS) constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is " + sys.version)'
	@if command -v uv >/dev/null; then uv venv -q --clear --seed --python "$$(command -v $(PYTHON))" $(VENV); else $(PYTHON) -m venv --clear $(VENV); fi
	@sed -n '/^uv==/,/[^\\]$$/p' constraints.txt >$(VENV)/uv.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt || echo "no uv: going on with pip"
	@echo "installing into $(VENV) ..."
	@if [ -x $(BIN)/uv ]; then \
	  $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes $(addprefix -r ,$(REQUIREMENTS)) -c constraints.txt; \
	else $(BIN)/python -m pip install -q --no-deps --require-hashes -r constraints.txt; fi
	@touch $@
