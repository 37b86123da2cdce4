# Every command that people need; `make help` lists them.
PY := .venv/bin/python
SHELL := /bin/bash

.PHONY: help setup demo up test faults check lint format bench lock schemas controlplane clean
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  make \1\t/' | expand -t 20

.venv/.ready: requirements.lock pyproject.toml sandbox/setup.sh
	@bash sandbox/setup.sh

setup: .venv/.ready ## Make .venv with the locked packages

demo: setup ## Run the main job for real (KEEP=1 leaves it running, CLUSTER=real|emulator)
	@$(PY) -m sandbox.demo $(if $(KEEP),--keep) --cluster $(or $(CLUSTER),auto)

up: setup ## Start broker, git server, registry and cluster, and print their addresses
	@$(PY) -m sandbox up --cluster $(or $(CLUSTER),auto)

controlplane: setup ## Build the real control plane, and sops, into the cache folder, once
	@$(PY) -m sandbox.controlplane_build
	@$(PY) -m sandbox.sops_build

test: setup controlplane ## Install what is missing and run all tests (ARGS="-k cluster", PROCESSES=0)
	@$(PY) -m pytest -n $(or $(PROCESSES),$(if $(AMQP_URL)$(SANDBOX_KUBECONFIG),0,3)) $(ARGS)

faults: setup controlplane ## Make processes fail while images are pushed (LONG=1: 1,000 crashes, and the report)
	@FAULTS_CRASHES=$(if $(LONG),1000,20) FAULTS_REPORT=$(LONG) $(PY) -m pytest -s tests/faults $(ARGS)

check: lint ## Lint, unit tests and the contract in memory: the daily loop
	@$(PY) -m pytest -q -n 4 tests/unit tests/contract -m "not rabbit and not cluster" -p no:cacheprovider

lint: setup ## ruff, mypy strict, import-linter
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports

format: setup ## Put the code into the one format
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

bench: setup ## Measure against a floor (ONLY=<prefix>); writes benchmarks/results.json
	@$(PY) -m benchmarks $(if $(ONLY),--only $(ONLY))

schemas: setup ## Write docs/asyncapi.yaml and docs/schemas from the models
	@$(PY) -m shared.contract
	@$(PY) -m shared.config schema > docs/schemas/flux.schema.json

lock: setup ## Choose exact versions anew and write requirements.lock with hashes
	@.venv/bin/uv pip compile --quiet --universal --generate-hashes --all-extras --no-header \
	  --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.lock

clean: ## Remove what was made in this checkout
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
