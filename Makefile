PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test slow bench docs lint clean

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -e ".[test]"
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

bench: .venv/ready
	$(BIN)/python -m pip install -q -e ".[bench]"
	$(BIN)/python benchmarks/run.py

docs: .venv/ready
	$(BIN)/python -m pip install -q -e ".[docs]"
	$(BIN)/sphinx-build -W -b html docs docs/_build/html

clean:
	rm -rf .venv docs/_build
