PYTHON ?= python3
NEWEST ?= python3.13
BIN := .venv/bin
# Who is free takes tests from the other; neighboring tests stay in one process, which shares their fixtures.
PYTEST := -m pytest -n 2 --dist worksteal --durations=20 --durations-min=5

# Bytecode is kept even where the environment forbids it: the tests start many processes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test slow test-newest bench docs format lint clean

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -e ".[test]"
	touch $@

.venv/docs: .venv/ready
	$(BIN)/python -m pip install -q -e ".[docs]"
	touch $@

.venv/bench: .venv/ready
	$(BIN)/python -m pip install -q -e ".[bench]"
	touch $@

.venv-newest/ready: pyproject.toml
	$(NEWEST) -m venv .venv-newest
	.venv-newest/bin/python -m pip install -q --upgrade pip
	.venv-newest/bin/python -m pip install -q -e ".[test]"
	touch $@

demo: .venv/ready
	$(BIN)/python -m brainmass_delays demo

test: .venv/ready
	$(BIN)/python $(PYTEST) $(ARGS)

slow: .venv/ready
	$(BIN)/python $(PYTEST) -m slow $(ARGS)

test-newest: .venv-newest/ready
	.venv-newest/bin/python $(PYTEST) $(ARGS)

format: .venv/ready
	$(BIN)/ruff format .

lint: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

bench: .venv/bench
	$(BIN)/python benchmarks/run.py

docs: .venv/docs
	$(BIN)/python -m sphinx -W -b html docs docs/_build/html
	$(BIN)/python docs/check_site.py docs/_build/html

clean:
	rm -rf .venv .venv-newest .jax_cache docs/_build
