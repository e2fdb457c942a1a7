# `make book` and `make test` do everything on a machine with Python 3.11 or newer.
.DEFAULT_GOAL := help
PYTHON ?= python3
PROFILE ?= quick
STUDY ?=
RUN := .venv/bin/python
SCALE ?= reference

.PHONY: help setup book test check bench reference outputs clean pins

help: ## Say what can be made
	@echo "Usage: make TARGET [PROFILE=smoke|quick|reference|paper] [STUDY=collapse] [PYTHON=python3.12]"
	@sed -n 's/^\([a-z]*\):[^#]*## /\1#/p' Makefile | while IFS='#' read -r name text; do \
		printf '  %-10s %s\n' "$$name" "$$text"; done

setup: ## Make or renew .venv
	@command -v $(PYTHON) >/dev/null || { \
		echo "set-up: there is no $(PYTHON); install Python 3.11 or newer, or name one, as in" \
			"make book PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) bootstrap.py

book: setup ## Run the notebooks at the scale PROFILE (default quick) and build the book
	@$(RUN) -m seethrough.book.build --profile "$(PROFILE)"

test: setup ## Pass every test: code, notebooks, the book at the smoke scale, the browser
	@$(RUN) tests/run_all.py

check: setup ## Check format, lint and types
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy

bench: setup ## Run all benchmarks, one after the other; results/benchmarks holds the results
	@$(RUN) benchmarks/peers/environment.py
	@find benchmarks -name '*.py' ! -path '*/stand_ins/*' ! -name environment.py ! -name gpu.py \
		| sort | while read -r file; do echo "== $$file"; .venv-peers/bin/python "$$file" || exit 1; done

reference: setup ## Compute results/reference: all studies, or those whose name begins with STUDY
	@$(RUN) -m seethrough reference "$(STUDY)" --profile "$(SCALE)"

outputs: setup ## Save fresh tables in notebooks/ after a change that is meant to change them
	@$(RUN) -m seethrough.book.save_outputs

clean: ## Remove the built book and executed notebooks; .venv and stored artifacts stay
	rm -rf _build book/executed results/runs .snakemake

pins: ## Write constraints.txt anew from the newest versions that pyproject.toml admits
	rm -rf .venv
	$(PYTHON) bootstrap.py --without-pins
	{ grep '^#' constraints.txt; $(RUN) -m pip freeze --all --exclude-editable \
		| grep -v '^pip==' | sed 's/+.*//' | LC_ALL=C sort -f; } > constraints.new
	mv constraints.new constraints.txt
