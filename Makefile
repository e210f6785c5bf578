# make demo    digits, end to end: data -> bitstream and report     make docs    the manual, warnings are errors
# make test    every test, the quick tier first                     make bench   benchmarks
# make check   lint, format, types, layers                          make clean   remove what make built, keep runs/
# make nightly each extra alone in a fresh environment              make users  eight new users, in a clean clone
#
# Each target makes the environment it needs in .venv; stamps keep that from being repeated. Where packages come
# from is the machine's own pip configuration.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# --no-compile: byte code is made at first use, for what is used (measured: 42 s of set-up instead of 84 s),
# so Python must be allowed to keep it.
unexport PYTHONDONTWRITEBYTECODE
PIP    := $(BIN)/python -m pip install --quiet --no-input --no-compile --constraint constraints.txt
# Without a C++ compiler on the machine, take the one from pip.
comma  := ,
CXX_EXTRA := $(if $(shell command -v c++ g++ clang++ 2>/dev/null),,$(comma)zig)
JOBS   ?= 2
# Property tests draw from this seed: one commit, one seed; printed by make with the command.
SEED   ?= $(shell printf '%d' "0x$$(git rev-parse --short=7 HEAD 2>/dev/null || echo 0)")
FIRST  := not sim and not icarus and not synth and not place and not torch and not search and not slow

.PHONY: demo test check docs bench nightly users clean distclean setup

demo: $(VENV)/.stamp-run
	$(BIN)/gatewright run examples/digits/digits.toml --out runs/digits

test: $(VENV)/.stamp-dev
	$(BIN)/python -m pytest -n $(JOBS) -m "$(FIRST)" --hypothesis-seed=$(SEED)
	$(BIN)/python -m pytest -n $(JOBS) -m "not ($(FIRST))" --hypothesis-seed=$(SEED)

check: $(VENV)/.stamp-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-cache

docs: $(VENV)/.stamp-docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# benchmarks/__main__.py takes the names of benchmarks as arguments: make bench BENCH="adders synth"
bench: $(VENV)/.stamp-bench
	$(BIN)/python -m benchmarks $(BENCH)

# Each extra alone, in a fresh environment on PYTHON: what it brings is enough for what README says of it. Minutes, and a
# gigabyte of packages: for a night. `make nightly PYTHON=python3.13 EXTRAS="sim synth"` takes another Python, or some.
EXTRAS ?= none fit import search ray sim zig synth place-more soc hls parquet hdf5 root wfdb miniseed
nightly: $(addprefix nightly-,$(EXTRAS))

nightly-%:
	rm -rf build/nightly/$*
	$(PYTHON) -m venv build/nightly/$*
	build/nightly/$*/bin/python -m pip install --quiet --no-input "$(CURDIR)$(if $(filter none,$*),,[$*])"
	cd build/nightly/$* && bin/python -I $(CURDIR)/tests/nightly.py $*
	rm -rf build/nightly/$*

# Eight new users play README and manual, each in an empty folder: in a clone of what is committed, with an environment of
# its own and an empty HOME. What pip reads from the environment or the machine's files is kept.
users:
	rm -rf build/users
	mkdir -p build/users/home
	git clone --quiet --no-hardlinks . build/users/clone
	python="$$($(PYTHON) -c 'import sys; print(sys.executable)')" && export HOME="$(CURDIR)/build/users/home" && \
	cd build/users/clone && $(MAKE) .venv/.stamp-dev VENV=.venv PYTHON="$$python" && \
	CI=true .venv/bin/python -m pytest -v tests/flow/test_eight_users.py
	rm -rf build/users

setup: $(VENV)/.stamp-dev $(VENV)/.stamp-docs

clean:
	rm -rf build dist docs/_build docs/notebooks .pytest_cache .ruff_cache .hypothesis
	find src tests benchmarks examples docs -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)

# torch goes first and alone: the version the machine offers for 2.13.0 (its CPU build, say) is kept by all that follows.
$(VENV)/.stamp-run: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0 hatchling editables
	$(PIP) --no-build-isolation --editable ".[all$(CXX_EXTRA)]"
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-run
	$(PIP) --no-build-isolation --editable ".[dev]"
	@touch $@

$(VENV)/.stamp-bench: $(VENV)/.stamp-dev
	$(PIP) --no-build-isolation --editable ".[bench]"
	@touch $@

$(VENV)/.stamp-docs: $(VENV)/.stamp-run
	$(PIP) --no-build-isolation --editable ".[docs]"
	@touch $@
