# Everything runs from .venv, which `make setup` builds from the lock files. Only Python 3.11 (or 3.12) and make are needed before it.

# The first interpreter that is new enough (and not too new: the dataflow engine has wheels up to 3.12).
RIGHT := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do "$$p" -c '$(RIGHT)' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete

.PHONY: help setup demo test test-real test-kafka bench evaluate docs picture screenshot lint mutants ci lock clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

setup: $(STAMP)  ## build .venv from the locks (quick when nothing changed)

# The stamp is written last, so that a set-up that was cut off is seen and started afresh, never used half-made.
$(STAMP): requirements.lock requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Ringfence needs Python 3.11 or 3.12 with the venv module (Debian: apt-get install python3-venv); set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -f $(STAMP) || rm -rf $(VENV)
	@rm -f $(STAMP)
	@test -x $(BIN)/python || { echo "Building $(VENV) with $(PYTHON): a few minutes the first time"; $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock || { rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable . || { rm -rf $(VENV); exit 1; }
	@touch $(STAMP)

demo: setup  ## priced calls, an attack and its block, in this terminal; Ctrl-C ends it
	@$(BIN)/ringfence up --simulate --fresh --home var/demo

# Two processes: on two cores each test has one. What they start finds modules that are compiled, whatever the environment says.
TWO := POLARS_MAX_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
# Files of `make test` are in memory where it has 4 GB to spare: the suite waits for a disk longer than for a processor.
IN_MEMORY := $(shell [ "$$(df --output=avail --block-size=1M /dev/shm 2>/dev/null | tail -1)" -ge 4000 ] 2>/dev/null && echo TMPDIR=/dev/shm)

test: setup  ## the suite that needs nothing but PyPI
	@$(IN_MEMORY) $(TWO) -m "not real and not kafka" $(ARGS)

# Installations, real calls and brokers run on the machine's clock: a test that fails is run once more, and the summary names it.
AGAIN := --reruns 1 --reruns-delay 5 -rR

test-real: setup  ## whole installations, Kamailio with real calls, PostgreSQL, Chromium (what is not installed is skipped, and says so)
	@$(TWO) $(AGAIN) -m real $(ARGS)

test-kafka: setup  ## the rest of it (Java, Maven: the broker's jars are fetched once)
	@$(BIN)/python -m pytest $(AGAIN) -m kafka $(ARGS)

bench: setup  ## the figures: records per second, where the time goes, kills, the way of an order
	@for b in bench/bench_*.py; do echo "== $$b"; $(BIN)/python "$$b" || exit 1; done

# One process at a time: VALIDATION=1 opens the validation simulator, ARGS="--calls 3000000 --days 7 --seeds 1-20" makes the large run.
evaluate: setup  ## docs/evaluation*.md: detectors and opponents on attacks and real users; controls on leaks; causes on bills
	@$(BIN)/python -m evaluation --real-seeds 10 $(if $(VALIDATION),--validation) $(ARGS)
	@$(BIN)/python -m evaluation.assurance

docs: setup  ## the docs as a site, in build/site
	@$(BIN)/python tests/docs/decisions.py
	@$(BIN)/python tests/docs/detector_list.py
	@$(BIN)/python tests/docs/control_list.py
	@$(BIN)/zensical build --clean --strict

picture: setup  ## the picture of the flow, drawn from the flows (and with Chromium)
	@$(BIN)/python docs/picture.py README.md docs/flow.md
	@$(BIN)/python tests/docs/draw.py docs/flow.md docs/flow.svg

screenshot: setup  ## the pictures of docs/images, from simulated traffic in a real Chromium (a quarter of an hour)
	@$(BIN)/python docs/screenshot.py $(ARGS)

lint: setup  ## style, types and who imports whom
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

mutants: setup  ## whether the tests notice: one-token faults in the rules, half an hour (ARGS="core/money.py --seed 2")
	@$(BIN)/python tests/mutants.py $(ARGS)

ci: lint test test-real test-kafka  ## what a change must pass

# Every hash of every file of every version named here; no address of any index.
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options
lock:  ## resolve the locks again (after a change of the dependencies in pyproject.toml)
	@$(COMPILE) --output-file requirements.lock pyproject.toml
	@$(COMPILE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

clean:  ## remove the .venv, the caches and the demo's data
	@rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info var/demo
