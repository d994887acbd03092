# fieldpool: `make` lists the targets. Needs Python 3.11, 3.12 or 3.13 with pip; nothing else.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
# Number of test processes.
WORKERS ?= 2
# Sizes for `make bench`.
ROWS ?= 10000,100000,1000000,3000000
FIELDS ?= 18
# Processes for each figure of the benchmarks, and where they keep data and results.
REPEAT ?= 3
FOLDER ?= bench-data
# Days of `make bench-growth` and `make bench-windows`, and rows of each day of the latter.
DAYS ?= 30
DAY_ROWS ?= 1000000
# Further options of `make bench-train` and `make bench-serving`.
TRAIN ?=
STEP ?=
SERVING ?=
PIP := -m pip --disable-pip-version-check --no-input
VENV := .venv
SETUP := $(VENV)/.installed
BACKENDS := .venv-backends
MATRIX := .venv-matrix
# For `make test-matrix`: Python versions, and what pytest runs on each of them.
PYTHONS ?= 3.11 3.12 3.13
TESTS ?= tests
TYPED := $(VENV)/src/fieldpool

export PYTHONUNBUFFERED := 1
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help setup demo test lint types pytest test-quality test-faults test-runners test-browser test-backends \
    test-layers test-package test-matrix test-benchmarks layers-wheel bench bench-growth bench-windows bench-start \
    bench-train bench-serving docs lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(SETUP) ## Create .venv with the locked requirements and fieldpool itself

demo: $(SETUP) ## Generate a click log, transform it, train and evaluate a DeepFM: all in demo-run/
	$(VENV)/bin/fieldpool demo

test: lint types pytest ## Lint, check types and run the tests

lint: $(SETUP) ## Check style and formatting
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(SETUP) ## Check types
	@mkdir -p $(TYPED)
	@rm -f $(TYPED)/*
	@for path in api/* transforms model pipeline; do ln -sfn ../../../$$path $(TYPED)/; done
	MYPYPATH=$(VENV)/src $(VENV)/bin/mypy -p fieldpool -p benchmarks
	MYPYPATH=$(VENV)/src $(VENV)/bin/mypy examples

pytest: $(SETUP)
	$(VENV)/bin/pytest -n $(WORKERS) </dev/null

test-quality: $(SETUP) ## On real data (FIELDPOOL_DATA): mean AUC of three seeds as DeepCTR's, vocabularies as TFT's
	$(VENV)/bin/pytest -m quality -s tests/test_real_data.py tests/test_position_effect.py \
	    tests/transforms/test_vocabulary_against_tft.py </dev/null

test-faults: $(SETUP) ## Kill 300 processes, interrupt 300, mutate 19,000 inputs, break others (KILLS=10 SEED=1 FUZZ=100): an hour
	$(VENV)/bin/pytest -m faults -s tests/test_faults.py tests/test_interrupts.py tests/test_fuzz.py \
	    tests/test_reference_reader.py tests/test_circumstances.py tests/pipeline/sniffing \
	    tests/pipeline/test_shapes.py tests/transforms/test_vocabulary_against_tft.py </dev/null

test-runners: $(SETUP) ## Run jobs on other runners with remote workers, no cloud, and train on two workers: 9 minutes
	$(VENV)/bin/pytest -n $(WORKERS) -m "runners or not runners" tests/runners \
	    tests/model/training/test_strategies.py </dev/null

test-backends: layers-wheel $(BACKENDS)/tests ## Run the layers' tests on JAX and on PyTorch, without TensorFlow
	for backend in jax torch; do \
	    echo "Keras on $$backend"; \
	    KERAS_BACKEND=$$backend PYTHONPATH=$(BACKENDS)/tests \
	        $(BACKENDS)/$$backend/bin/python -m pytest -p no:cacheprovider tests/model </dev/null; \
	done

test-layers: layers-wheel ## Fit, save and load a model where only Keras and TensorFlow, JAX or PyTorch are installed
	for backend in tensorflow jax torch; do \
	    echo "Keras on $$backend"; \
	    KERAS_BACKEND=$$backend $(BACKENDS)/$$backend/bin/python -I tests/packaging/bare_layers.py; \
	done

test-package: $(SETUP) ## Build wheel and sdist, install each in a fresh environment and run it: 5 minutes, 3 GB
	$(VENV)/bin/python $(PIP) install --quiet uv
	$(VENV)/bin/pytest -m package tests/packaging </dev/null

# With other tests: make test-matrix PYTHONS=3.13 TESTS="tests/transforms tests/pipeline/rows"
# Pythons of pyenv are found when they are active: PYENV_VERSION=3.11.7:3.12.1:3.13.0 make test-matrix
test-matrix: $(SETUP) ## Run the tests on Python 3.11, 3.12 and 3.13, where they are installed, in .venv-matrix/
	$(VENV)/bin/python $(PIP) install --quiet uv
	@failed=; for version in $(PYTHONS); do \
	    if ! python=$$($(VENV)/bin/uv python find --system --no-python-downloads $$version 2>/dev/null); then \
	        echo "Python $$version is not installed: skipped"; \
	        continue; \
	    fi; \
	    echo "Python $$version: $$python"; \
	    $(VENV)/bin/uv venv --quiet --allow-existing --seed --python $$python $(MATRIX)/$$version; \
	    install="$(VENV)/bin/uv pip install --quiet --python $(MATRIX)/$$version/bin/python"; \
	    $$install --requirement requirements.lock; \
	    $$install --no-deps --no-build-isolation --editable .; \
	    $(MATRIX)/$$version/bin/pytest -n $(WORKERS) $(TESTS) </dev/null || failed+=" $$version"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed on Python$$failed"; exit 1; fi

test-browser: $(SETUP) ## Open the report in headless Chromium: an installed one, else the one that playwright downloads
	$(VENV)/bin/python $(PIP) install --quiet "playwright>=1.50"
	command -v chromium chromium-browser google-chrome chromium-headless-shell >/dev/null \
	    || $(VENV)/bin/playwright install chromium
	$(VENV)/bin/pytest -m browser tests/pipeline/reports/test_model_report.py </dev/null

# A fresh folder, so that no data of an earlier version are used.
test-benchmarks: ## Run each benchmark once on few rows, with polars but without the other training systems: 4 minutes
	rm -rf bench-data/test
	$(MAKE) bench ROWS=10000 REPEAT=1 FOLDER=bench-data/test
	$(MAKE) bench-growth DAYS=3 FOLDER=bench-data/test
	$(MAKE) bench-windows DAYS=3 DAY_ROWS=10000 REPEAT=1 FOLDER=bench-data/test
	$(VENV)/bin/python -m benchmarks.startup --repeat 1 --folder bench-data/test
	$(MAKE) bench-train FOLDER=bench-data/test STEP="--steps 2 --repeat 1" \
	    TRAIN="--systems fieldpool,keras --windows 1 --steps 10 --rows 60000 --seeds 1 --quality-epochs 1"
	$(MAKE) bench-serving REPEAT=1 FOLDER=bench-data/test SERVING="--rows 10000"

bench: $(SETUP) ## Compare the pipeline with TFT's recipe and a polars script: minutes (ROWS=10000,1000000 REPEAT=3)
	$(VENV)/bin/python $(PIP) install --quiet "polars>=1"
	$(VENV)/bin/python -m benchmarks.pipelines.compare --rows $(ROWS) --fields $(FIELDS) --repeat $(REPEAT) \
	    --folder $(FOLDER)
	$(VENV)/bin/python -m benchmarks.pipelines.vocabularies --repeat $(REPEAT)

bench-growth: $(SETUP) ## Make a chain of 30 runs that grow, twice: 0 ids move, the bytes are equal; 10 minutes (DAYS=30)
	$(VENV)/bin/python -m benchmarks.pipelines.growth --days $(DAYS) --folder $(FOLDER)

bench-windows: $(SETUP) ## Analyze 30 days of 1M rows, then a day more with their counts kept: 15 minutes (DAYS=30)
	$(VENV)/bin/python -m benchmarks.pipelines.windows --days $(DAYS) --rows $(DAY_ROWS) --repeat $(REPEAT) \
	    --folder $(FOLDER)

bench-start: $(SETUP) ## Time the start of commands, as ratios to the import of TensorFlow and Beam: 5 minutes
	$(VENV)/bin/python -m benchmarks.startup --folder $(FOLDER)

bench-train: $(SETUP) ## Compare training with DeepCTR, FuxiCTR, FBGEMM, keras-rs and Keras layers; installs them: 14 GB, half an hour
	$(VENV)/bin/python -m benchmarks.training.compare --folder $(FOLDER) $(TRAIN)
	for variant in lazy_adam rowwise_adagrad; do \
	    $(VENV)/bin/python -m benchmarks.training.step --variant $$variant $(STEP); \
	done

bench-serving: $(SETUP) ## Measure an exported model: p50 and p99 of 1 and 256 rows, rows/s of batch prediction
	$(VENV)/bin/python -m benchmarks.serving --repeat $(REPEAT) --folder $(FOLDER) $(SERVING)

docs: $(SETUP) ## Build the documentation as a site, in site/; broken links are errors
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet

# Versions that requirements.lock has already are kept: delete it for the newest ones.
lock: $(SETUP) ## Resolve requirements.lock for Python 3.11 to 3.13 on every platform
	$(VENV)/bin/python $(PIP) install --quiet uv
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --extra test --extra docs \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    pyproject.toml --output-file requirements.lock

clean: ## Remove everything that the other targets create
	rm -rf $(VENV) $(BACKENDS) $(MATRIX) demo-run bench-data site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find api transforms model pipeline tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(SETUP): setup.py pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP) install --quiet --requirement requirements.lock
	$(VENV)/bin/python $(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# One environment for each backend: Keras, the backend and what the layers import, so that a layer which imports another
# backend or a package of the pipeline fails. PyTorch comes from the index that pip is configured for; on Linux that is
# the CUDA build, unless PIP_EXTRA_INDEX_URL names PyTorch's index for CPUs.
$(BACKENDS)/%/.installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(BACKENDS)/$*
	$(BACKENDS)/$*/bin/python $(PIP) install --quiet --constraint requirements.lock keras pydantic $*
	touch $@

# What runs the tests in these environments.
$(BACKENDS)/tests: $(SETUP)
	$(VENV)/bin/python $(PIP) install --quiet --upgrade --target $@ --constraint requirements.lock \
	    hypothesis ir-measures pyarrow pytest PyYAML scikit-learn
	touch $@

# This checkout's wheel, built again each time, in each of these environments.
layers-wheel: $(SETUP) $(BACKENDS)/tensorflow/.installed $(BACKENDS)/jax/.installed $(BACKENDS)/torch/.installed
	rm -rf $(BACKENDS)/dist build
	$(VENV)/bin/python $(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir $(BACKENDS)/dist .
	for backend in tensorflow jax torch; do \
	    $(BACKENDS)/$$backend/bin/python $(PIP) install --quiet --no-deps --force-reinstall $(BACKENDS)/dist/*.whl; \
	done
