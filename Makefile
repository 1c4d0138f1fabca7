# patternbook: `make report` goes from raw events to the rendered report; `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/ready
PARAMS ?= params/sample.yaml
SET ?=

.PHONY: help report test lint bench bench-large coverage lab lock

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

report: $(VENV)/browser  ## Run everything that is not current and render the report [PARAMS=params/x.yaml] [SET="key=value …"]
	@$(VENV)/bin/patternbook run $(PARAMS) $(foreach pair,$(SET),--set $(pair))

test: $(READY)  ## Run the notebooks on the smallest run, one after the other, then all other tests
	@PATTERNBOOK_PARAMS=params/smoke.yaml $(PY) -m pytest --nbmake --nbmake-timeout=600 notebooks tests/test_notebooks.py
	@$(PY) -m pytest -n 2 --ignore=tests/test_notebooks.py tests

lint: $(READY)  ## Check style, types, and that notebooks hold no outputs
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/nbstripout --keep-id --verify notebooks/*.ipynb

bench: $(VENV)/browser  ## Measure compaction, baskets, customer models, scoring, whole runs of 1 and 10 million events, and the first paint
	@$(PY) tests/benchmarks/compaction.py
	@$(PY) tests/benchmarks/basket.py
	@$(PY) tests/benchmarks/lifetime.py
	@$(PY) tests/benchmarks/scoring.py
	@$(PY) tests/benchmarks/growth.py
	@$(PY) tests/benchmarks/paint.py

bench-large: $(VENV)/browser  ## Measure 110 million events from raw CSV to the report: half an hour or more, 25 GB of disk
	@$(PY) tests/benchmarks/growth.py 110000000

coverage: $(READY)  ## Measure how often each kind of interval holds the truth
	@$(PY) tests/benchmarks/coverage.py

lab: $(READY)  ## Open JupyterLab on the notebooks [PARAMS=params/x.yaml]
	@PATTERNBOOK_PARAMS=$(PARAMS) $(VENV)/bin/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

lock:  ## Pin every version anew: what pip resolves for pyproject.toml in a clean environment
	@scripts/lock.sh $(PYTHON)

$(READY): requirements.lock pyproject.toml
	@scripts/setup.sh $(PYTHON) $(VENV)
	@touch $@

$(VENV)/browser: $(READY)
	@scripts/browser.sh $(PY)
	@touch $@
