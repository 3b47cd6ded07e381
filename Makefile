# Two commands: `make test` asks whether the software is right, `make verify` whether the models are done.
# Both make their own .venv; nothing else needs to be installed but Python 3.11+.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SYSTEM ?=
SYSTEMS := $(basename $(notdir $(wildcard spec/*.toml)))
HARDWARE ?=

export ASSAY_DATA

.PHONY: setup test verify full mutants report lint types imports docs benchmarks smoke property clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Assay needs Python 3.11 or newer; set PYTHON=..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# Is the software right? Always green.
test: lint types imports docs property smoke benchmarks

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/assay lint .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

docs: $(READY)
	$(BIN)/assay spec check
	$(BIN)/assay spec schema --check

property: $(READY)
	$(BIN)/python -m pytest property -q -n 2 --dist loadfile

# Every acceptance suite once, on tiny data: two systems at a time.
smoke: $(READY)
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target $(SYSTEMS:%=smoke-%)

smoke-%: $(READY)
	$(BIN)/python -m pytest acceptance/$* -q --hardware cpu --assay-profile smoke

benchmarks: $(READY)
	$(BIN)/python -m pytest benchmarks -q --benchmark-disable

# Is the model done? Red whenever one is not.
verify: $(READY)
	$(BIN)/assay verify $(SYSTEM) $(if $(HARDWARE),--hardware $(HARDWARE))

full: $(READY)
	$(BIN)/assay verify --full $(SYSTEM) $(if $(HARDWARE),--hardware $(HARDWARE))

# Does the gate still say no? Every mutant of the twin, each to be caught by the check named for it.
mutants: $(READY)
	$(BIN)/assay mutants

report: $(READY)
	$(BIN)/assay report $(SYSTEM)

clean:
	rm -rf $(VENV) .assay .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks .import_linter_cache build *.egg-info impl/*.egg-info report.html
