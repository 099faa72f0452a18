# `make train`: install, train Leduc on this machine's CPU, print its exploitability.
# `make test`: install, lint, type-check, test.
# `make quick`: lint and the quick tests, in under a minute.
# `make test-browser`: the browser app in Chromium (Debian: apt-get install chromium).
# `make docs`: build the documentation into build/docs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Empty is unset: tests start hundreds of processes, each of which would compile the package anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: train test test-browser pytest quick lint docs dist clean

train: $(INSTALLED)
	$(BIN)/python -m pokerlab.train experiment=leduc

test: $(INSTALLED)
	$(MAKE) -j2 lint pytest

pytest: $(INSTALLED)
	$(BIN)/python -m pytest -n 3 --dist worksteal

test-browser: $(INSTALLED)
	$(BIN)/python -m pytest -m browser tests/browser

quick: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n 2 -m quick

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Also checks the documentation: a warning is an error. Nothing is fetched from a network.
docs: $(INSTALLED)
	rm -rf docs/api/rooms
	PYTHONPATH=. $(BIN)/python -m sphinx -q -W --keep-going -d build/doctrees docs build/docs
	@echo build/docs/index.html

# The wheel and the source distribution, into dist/.
dist: $(INSTALLED)
	rm -rf dist
	$(BIN)/python -m build --outdir dist

# Reinstalls only when what is to be installed has changed, at the versions in constraints.txt. Python compiles
# on all cores, where pip would use one; some packages have files of other versions of Python.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[test]'
	$(BIN)/python -m compileall -qq -j 0 -x '/tests/' $(VENV)/lib || true
	touch $@

clean:
	rm -rf $(VENV)
