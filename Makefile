# What a person or CI runs; `make help` lists it. Needs Python 3.11 (with venv and pip), g++ and perl.
PYTHON ?= python3.11
CONFIG = hw_configs/w4a4.json

# torch's threads spin while they wait for each other: ten times slower where the cores are shared.
export OMP_WAIT_POLICY ?= passive

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PIP := python -m pip --disable-pip-version-check
RUNTIME := requirements.txt requirements-nodeps.txt constraints.txt

# The environment's stamps carry a checksum of the files it is made from, so that a changed pin remakes it
# and a mere `git checkout` does not.
checksum = $(shell cat $(1) | cksum | cut -d' ' -f1)
DRIVER := driver/requirements.txt driver/constraints.txt
DRIVER_VENV := .venv-driver
DRIVER_STAMP := $(DRIVER_VENV)/.stamp-$(call checksum,$(DRIVER))
RUNTIME_STAMP := $(VENV)/.runtime-$(call checksum,$(RUNTIME))
DEV_STAMP := $(VENV)/.dev-$(call checksum,$(RUNTIME) requirements-dev.txt)

# Debian's python3 without python3-venv has the module venv, but not ensurepip.
missing = $(shell { \
	$(PYTHON) -c 'import sys, venv, ensurepip; assert sys.version_info[:2] == (3, 11)' 2>/dev/null \
		|| printf '%s, ' '$(PYTHON) as Python 3.11 with venv and pip'; \
	for tool in g++ perl; do command -v $$tool >/dev/null || printf '%s, ' "$$tool"; done; } | sed 's/, $$//')

# A failed or interrupted installation leaves nothing behind.
remove_unless_done = trap 'rm -rf $(1)' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM; set -e; rm -rf $(1)

# pynq is built from source, with the setuptools and wheel that stand there: they come first.
install_driver = $(PYTHON) -m venv $(1); \
	$(1)/bin/$(PIP) install --quiet $(2) wheel "$$(grep -o '^setuptools==[0-9.]*' driver/requirements.txt)"; \
	$(1)/bin/$(PIP) install --quiet --no-build-isolation $(2) -r driver/requirements.txt

.PHONY: help build test lint format env env-dev env-driver lock clean tools
.DEFAULT_GOAL := help

help:  ## list these targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

build: env  ## make the environment, then the accelerator of CONFIG (default hw_configs/w4a4.json)
	$(BIN)/python build.py --config $(CONFIG)

test: env-dev env-driver  ## make the environments, then run both test suites
	$(BIN)/python -m pytest
	$(DRIVER_VENV)/bin/python -m pytest --confcutdir=tests/driver tests/driver driver

lint: env-dev  ## ruff's lint and format checks, and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: env-dev  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

env: $(RUNTIME_STAMP)  ## make the environment in .venv, with PYTHON (default python3.11)

env-dev: $(DEV_STAMP)  ## the environment and what tests and lint need

env-driver: $(DRIVER_STAMP)  ## the driver's own environment in .venv-driver: pynq, as on a board

lock: tools  ## write constraints.txt anew from requirements*.txt (with the CPU build of torch)
	@$(call remove_unless_done,$(VENV)-lock); \
	$(PYTHON) -m venv $(VENV)-lock; \
	$(VENV)-lock/bin/$(PIP) install --quiet -r requirements.txt -r requirements-dev.txt; \
	$(VENV)-lock/bin/$(PIP) install --quiet --no-deps -r requirements-nodeps.txt; \
	echo '# Every version in the environment, transitive ones too. Written by `make lock`: do not edit.' > constraints.new; \
	$(VENV)-lock/bin/$(PIP) freeze | sed 's/+cpu$$//' >> constraints.new; \
	mv constraints.new constraints.txt; \
	rm -rf $(VENV)-lock; $(call install_driver,$(VENV)-lock); \
	echo "# Every version in the driver's environment, transitive ones too. Written by \`make lock\`: do not edit." \
		> constraints.new; \
	$(VENV)-lock/bin/$(PIP) freeze --all | grep -v '^pip==' >> constraints.new; \
	mv constraints.new driver/constraints.txt

clean:  ## remove the environment, builds and caches
	rm -rf $(VENV) $(DRIVER_VENV) build .pytest_cache .simulation_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

tools:
	@$(if $(missing),$(error missing: $(missing)))

$(RUNTIME_STAMP): | tools
	@echo 'Installing the environment into $(VENV): one to three minutes ...'
	@$(call remove_unless_done,$(VENV)); \
	$(PYTHON) -m venv $(VENV); \
	$(BIN)/$(PIP) install --quiet -c constraints.txt -r requirements.txt; \
	$(BIN)/$(PIP) install --quiet --no-deps -r requirements-nodeps.txt; \
	touch $@; trap - EXIT

$(DEV_STAMP): | $(RUNTIME_STAMP)
	@rm -f $(VENV)/.dev-*
	@$(BIN)/$(PIP) install --quiet -c constraints.txt -r requirements-dev.txt
	@touch $@

$(DRIVER_STAMP): | tools
	@echo "Installing the driver's environment into $(DRIVER_VENV): a minute ..."
	@$(call remove_unless_done,$(DRIVER_VENV)); \
	$(call install_driver,$(DRIVER_VENV),-c driver/constraints.txt); \
	touch $@; trap - EXIT
