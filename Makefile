PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test slow bench docs lint clean

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

demo: .venv/ready
	$(BIN)/python -m brainmass_delays demo

test: .venv/ready
	$(BIN)/python -m pytest -n 2

slow: .venv/ready
	$(BIN)/python -m pytest -n 2 -m slow

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/lint-imports

bench: .venv/bench
	$(BIN)/python benchmarks/run.py

docs: .venv/docs
	$(BIN)/python -m sphinx -W -b html docs docs/_build/html

clean:
	rm -rf .venv docs/_build
