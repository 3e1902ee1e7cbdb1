# Two commands: `make demo` and `make test`. Both set up .venv first; an error names what is missing in one line.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
NEEDED_GB := 9
STEPS ?=
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-slurm test test-fast nightly lint docs clean

help:  ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(VENV)/.installed  ## make .venv with tested versions of everything

$(VENV)/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "iwm: Python 3.11, 3.12 or 3.13 is needed; install one, for example: apt install python3.11 python3.11-venv"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "iwm: $(PYTHON) has no venv module; install it, for example: apt install python3-venv"; exit 1; }
	@free=$$(( $$(df -Pk . | awk 'NR==2 {print $$4}') / 1048576 )); test -d $(VENV)/lib || test $$free -ge $(NEEDED_GB) || \
		{ echo "iwm: setup needs about $(NEEDED_GB) GB of free disk here, but only $$free GB are free; see df -h ."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV): about 6 GB of packages the first time" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup  ## train a first ablation, interrupt it, print the findings (STEPS=300: a short one)
	@$(BIN)/iwm demo $(if $(STEPS),--steps $(STEPS))

demo-slurm: setup  ## the same on a SLURM in a box that preempts trials and loses a node (apt: slurm-wlm slurmdbd munge mariadb-server)
	@$(BIN)/iwm demo --launcher slurm $(if $(STEPS),--steps $(STEPS))

test: setup  ## run all tests except those marked nightly
	@$(BIN)/python -m pytest -n 3 -m "not nightly" $(ARGS)

test-fast: setup  ## run the tests without a cluster, subprocesses or long training
	@$(BIN)/python -m pytest -n 2 -m "not slurm and not e2e and not browser and not slow and not gpu" $(ARGS)

nightly: setup  ## run slow tests that rarely fail: long storms, every GPU test rehearsed on the CPU
	@IWM_GPU_TESTS_ON=cpu $(BIN)/python -m pytest -n 2 -m "nightly or gpu" $(ARGS)

lint: setup  ## ruff and pyright
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pyright

docs: setup  ## regenerate docs/cli.md from the help texts
	@$(BIN)/python -m docs.generate

clean:  ## delete .venv and build files; keep runs
	rm -rf $(VENV) build *.egg-info
