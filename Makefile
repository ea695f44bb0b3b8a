# Everything a person must remember is a word here: run, test, check, drill, bench, lock, clean.

.DEFAULT_GOAL := help
.PHONY: help run test browser pictures check drill mutants bench lock clean
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
READY := .venv/.ready
BROWSER := .venv-browser/bin
BROWSER_READY := .venv-browser/.ready
WORKERS ?= auto
SEED ?= 1

help:
	@echo 'make run     the service, on a database of its own, with a sample tenant in it'
	@echo 'make test    all tests; every drill with a small number of rounds; SEED=n: another order'
	@echo 'make browser the screens in the Chromium or Chrome of this machine, which must be there'
	@echo 'make pictures  docs/images again, from the sample tenant in that browser'
	@echo 'make check   style, types and floors; no test is run'
	@echo 'make drill   every drill with its full number of rounds, figures printed'
	@echo 'make bench   all benchmarks, told as ratios'
	@echo 'make lock    both lock files again from the bounds in pyproject.toml (needs uv)'
	@echo 'make clean   remove the virtual environments and the caches'

# The stamp is written last, so an interrupted set-up is done again. pip checks every hash.
$(READY): requirements.lock pyproject.toml
	@set -e; \
	if [ ! -x $(BIN)/python ]; then \
	  found=; \
	  for name in python3.11 python3.12 python3.13 python3.14 python3; do \
	    path=`command -v $$name` || continue; \
	    "$$path" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    found="$$path"; break; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo 'No Python 3.11 or newer is on the PATH. Debian: apt-get install python3 python3-venv;' \
	         'macOS: brew install python@3.11' >&2; exit 1; \
	  fi; \
	  if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	    minor=`"$$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])'`; \
	    echo "$$found cannot make virtual environments." \
	         "Debian: apt-get install python$$minor-venv" >&2; exit 1; \
	  fi; \
	  rm -rf .venv; \
	  "$$found" -m venv .venv; \
	fi
	@echo 'Setting up .venv from requirements.lock (only when it changes) ...'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-input \
	  --require-hashes --only-binary :all: -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-input \
	  --no-deps --no-build-isolation -e .
	@touch $(READY)

run: $(READY)
	@$(BIN)/counterseal demo

# A module's tests run on one worker: what they look at together is made once.
test: $(READY)
	@$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile --randomly-seed=$(SEED)

# What drives the browser is locked apart and lives apart: nothing else needs it.
$(BROWSER_READY): requirements-browser.lock $(READY)
	@rm -rf .venv-browser
	@$(BIN)/python -m venv .venv-browser
	@echo 'Setting up .venv-browser from requirements-browser.lock (only when it changes) ...'
	@$(BROWSER)/python -m pip install -qq --disable-pip-version-check --no-input \
	  --require-hashes --only-binary :all: -r requirements-browser.lock
	@touch $(BROWSER_READY)

browser: $(BROWSER_READY)
	@$(BROWSER)/pyright --pythonpath $(BROWSER)/python tests/browser
	@$(BROWSER)/python -m pytest tests/browser

pictures: $(BROWSER_READY)
	@$(BROWSER)/python -m pytest tests/browser/test_pictures.py --pictures docs/images

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/pyright

drill: $(READY)
	@$(BIN)/python -m pytest -m drill --full -s -p no:randomly --timeout 3600

mutants: $(READY)
	@$(BIN)/python -m tests.mutants

bench: $(READY)
	@$(BIN)/python -m tests.bench.run

# The newest versions that the bounds allow; a file without a registry's address in it.
lock:
	@command -v uv >/dev/null || { echo 'make lock needs uv on the PATH.' >&2; exit 1; }
	@uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --upgrade --quiet -o requirements.lock
	@uv pip compile pyproject.toml --extra dev --extra browser --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --constraint requirements.lock --quiet \
	  -o requirements-browser.lock

clean:
	@rm -rf .venv .venv-browser .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
