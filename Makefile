# The commands of the project. `make` alone lists them.
SHELL := /bin/bash
PYTHON ?= python3
# GPU=1 with any command: the environment with CUDA and NCCL, beside the other.
export GPU
BIN := .venv$(if $(GPU),-gpu)/bin
# Settings of Horovod's build.
HOROVOD := sparkml_dist/console/horovod
# Folders that hold Python.
SOURCES := sparkml_dist jobs scripts examples tests benchmarks

.DEFAULT_GOAL := help

.PHONY: help
help:  ## List these commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup:  ## Build the environment in .venv (GPU=1: .venv-gpu); installs Java and a compiler where it may
	@PYTHON="$(PYTHON)" scripts/setup.sh

.PHONY: demo
demo: setup  ## Train an ensemble and a deep network on real data; results in build/demo
	@scripts/demo.sh

.PHONY: test
test: setup  ## Run the tests: locally, on a local cluster, over Spark Connect (ARGS="-k word", MODES=connect)
	@MODES="$(MODES)" scripts/test.sh $(ARGS)

.PHONY: test-long
test-long: setup  ## Run all tests, those marked long too, with random examples, ten times as many
	@SPARKML_DIST_TEST_PROFILE=long MODES="$(MODES)" scripts/test.sh $(ARGS)

.PHONY: coverage
coverage: setup  ## Run the tests and measure which lines ran, in workers and ranks too; report in build/coverage
	@MODES="$(MODES)" scripts/coverage.sh $(ARGS)

.PHONY: test-attack
test-attack: setup  ## Attack what is saved, and kill jobs at every place (half an hour)
	@scripts/attack.sh

.PHONY: test-notebooks
test-notebooks: setup  ## Run the example notebooks, Classic and Connect, and look at them in a browser (eight minutes)
	@SPARKML_DIST_TEST_PROFILE=long MODES=processes scripts/test.sh tests/notebooks $(ARGS)

.PHONY: test-lowest
test-lowest: setup  ## Run a core of the tests with the oldest versions allowed, in .venv-lowest
	@scripts/test_lowest.sh $(ARGS)

.PHONY: test-orchestrators
test-orchestrators: setup  ## Run jobs from Airflow and Dagster, in .venv-orchestrators; check the manifests
	@scripts/test_orchestrators.sh $(ARGS)

.PHONY: test-stores
test-stores: setup  ## Run what reads and writes an S3-compatible store, with moto's server in .venv-stores (most of an hour)
	@scripts/test_stores.sh $(ARGS)

.PHONY: test-hosts
test-hosts: setup  ## Run clusters over several hosts, made of network namespaces (needs root)
	@SPARKML_DIST_TEST_PROFILE=long MODES=processes scripts/test.sh tests/hosts $(ARGS)

.PHONY: test-gpu-build
test-gpu-build:  ## Build the environment for GPUs and try it without one (gigabytes, minutes)
	@$(MAKE) --no-print-directory setup GPU=1
	@GPU=1 MODES="local processes" scripts/test.sh tests/gpu_build.py

.PHONY: lint
lint: setup  ## Check style, types and which floor imports which
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.PHONY: check
check:  ## Do what continuous integration does: lint, test
	@.ci/run

.PHONY: docs
docs: setup  ## Build the documentation site in build/site; a warning is an error
	$(BIN)/python scripts/draw_architecture.py
	$(BIN)/python scripts/build_docs.py

.PHONY: format
format: setup  ## Format the code and mend what can be mended safely
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

.PHONY: bench
bench: setup  ## Run the benchmarks (ONLY=name for one); results in build/bench
	@scripts/bench.sh $(ONLY)

.PHONY: peers
peers:  ## Build .venv-peers: FLAML and H2O AutoML, for the benchmark of algorithm selection (half a gigabyte)
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet -r benchmarks/peers/requirements.txt

.PHONY: peers-federated
peers-federated:  ## Build .venv-peers-federated: Flower, for the benchmark of federated learning
	$(PYTHON) -m venv .venv-peers-federated
	.venv-peers-federated/bin/python -m pip install --quiet -r benchmarks/peers/requirements-federated.txt

.PHONY: peers-graphical
peers-graphical:  ## Build .venv-peers-graphical: pyAgrum and pgmpy, for the benchmark of Bayesian networks
	$(PYTHON) -m venv .venv-peers-graphical
	.venv-peers-graphical/bin/python -m pip install --quiet -r benchmarks/peers/requirements-graphical.txt

.PHONY: bench-automl
bench-automl: setup  ## Compare the selection of algorithms with theirs (ARGS="--seconds 300"); 20 minutes, alone
	$(BIN)/python benchmarks/automl.py $(ARGS)

.PHONY: bench-big
bench-big: setup  ## Run the long benchmarks: 12 GB through two workers of 1 GiB (needs 40 GB of disk, and make peers)
	@scripts/bench.sh ensemble_big gang_boost_big search_big

.PHONY: lock
lock: setup  ## Write requirements.lock anew from pyproject.toml (UPGRADE=1: newest versions)
	$(BIN)/uv pip compile pyproject.toml --quiet --config-file $(HOROVOD)/cpu.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header $(if $(UPGRADE),--upgrade) -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml scripts/gpu/requirements.in --quiet --universal \
	  --config-file $(HOROVOD)/gpu.toml --extra onnx --extra boost --extra search --extra mlflow --extra notebook --extra dev --extra bench \
	  --constraint requirements.lock --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header $(if $(UPGRADE),--upgrade) -o requirements-gpu.lock

.PHONY: clean
clean:  ## Remove what was built or cached; keeps .venv
	rm -rf build dist spark-warehouse metastore_db derby.log artifacts
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.*
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean  ## Remove .venv and the other environments too
	rm -rf .venv .venv-gpu .venv-lowest .venv-peers .venv-peers-federated .venv-peers-graphical .venv-orchestrators
