# Everything starts here. `make` alone tells what there is.
# A fresh machine needs Python 3.11 to 3.13 with pip and venv, and make.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
READY := .venv/foreclick-is-ready
LOCK := requirements-dev.txt
COMPETITORS := quix bytewax
PINNED := benchmarks/competitors

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench bench-setup lock

help: ## Show this.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv with the pinned packages and fetch Kafka. Later runs do nothing.

demo: $(READY) ## Train a model, stream a shop through Kafka, Redis and the worker, and show it.
	$(BIN)/foreclick demo

test: $(READY) ## Run all tests.
	$(BIN)/python -m pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder

lint: $(READY) ## Check style, formatting and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## Bring the code into the checked format.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## Measure the throughput of the full pipeline, as JSON.
	$(BIN)/python -m benchmarks.throughput

bench-setup: $(READY) $(COMPETITORS:%=.bench/%/is-ready) ## Give each competitor of the benchmarks its own environment in .bench.

.bench/%/is-ready: $(PINNED)/%.txt
	rm -rf .bench/$*
	$(BIN)/python -m venv .bench/$*
	.bench/$*/bin/python -m pip --disable-pip-version-check --no-input install --quiet --no-compile \
		--require-hashes --requirement $<
	@touch $@

lock: ## Pin all packages anew (needs uv on the PATH).
	uv pip compile pyproject.toml --generate-hashes --no-emit-index-url --python-version 3.11 --universal \
		--custom-compile-command "make lock" --quiet --output-file requirements.txt
	uv pip compile pyproject.toml --extra dev --generate-hashes --no-emit-index-url --python-version 3.11 \
		--universal --custom-compile-command "make lock" --quiet --output-file $(LOCK)
	for name in $(COMPETITORS); do \
		uv pip compile $(PINNED)/$$name.in --generate-hashes --no-emit-index-url --python-version 3.11 --universal \
			--custom-compile-command "make lock" --quiet --output-file $(PINNED)/$$name.txt || exit 1; done

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "foreclick needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv

$(READY): $(LOCK) pyproject.toml foreclick/services/kafka_jars.sha256 | $(BIN)/python
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(BIN)/python -m ensurepip
	@echo "Installing the pinned packages into .venv (3 GB; about a minute when they are in pip's cache)"
	$(PIP) install --quiet --no-compile --require-hashes --requirement $(LOCK)
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/foreclick services fetch
	@echo "Compiling the kernels of scoring, so that the first worker need not (20 s of CPU, once)"
	@$(BIN)/python -m streamer.compile_kernels || echo "They could not be compiled: the first worker tries again"
	@touch $@
