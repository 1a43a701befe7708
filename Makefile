# `make demo` on a fresh machine sets everything up in .venv and runs the main job. `make help` lists the rest.
PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
STAMP := .venv/.striate-setup

.DEFAULT_GOAL := help
.PHONY: help setup fresh demo test test-all lint bench lock clean

help:           ## this list
	@sed -n -e 's/^\([a-z-]*\): *[^#]*## */  make \1          /' -e 's/^\(  make .........\) */\1 /p' Makefile

setup: $(STAMP) ## Python packages and compiled tools, in .venv (about two minutes; nothing to do when they are there)

$(STAMP): requirements.lock pyproject.toml tools/setup.sh tools/check_system.py
	@PYTHON="$(PYTHON)" tools/setup.sh

# a compiled function's cache does not notice that a function it calls was edited: drop what is older than the sources
fresh: setup
	@for room in golden sim; do \
	  find $$room -name '*.nb[ic]' ! -newer "$$(find $$room -name '*.py' -exec ls -t {} + | head -n 1)" -delete; done

demo: fresh     ## photograph to report: float, fixed point, RTL, costs
	@$(BIN)/striate demo

test: fresh     ## the tests, without the slow ones
	@$(BIN)/python -m pytest -q -n $(JOBS)

test-all: fresh ## the tests, slow ones and more random cases included (STRIATE_ALL=1: fail where a program is missing)
	@$(BIN)/python -m pytest -q -n $(JOBS) --all

lint: setup     ## style, import order, types
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m mypy

bench: fresh    ## measure: every program in benchmarks/
	@for program in benchmarks/*.py; do echo "== $$program"; $(BIN)/python "$$program" || exit 1; done

lock: setup     ## pin the newest versions that fit pyproject.toml in requirements.lock
	@tools/lock.sh

clean:          ## remove .venv and everything made
	@rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
