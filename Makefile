# Argens: `make demo` runs a hospital on this machine, `make test` passes the tests.

PYTHON ?= python3
VENV_PYTHON := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help demo docs test test-fast soak check bench bench-quick bench-ingest bench-query bench-retrieve bench-web bench-first-image bench-federation bench-pages bench-footprint bench-archive screenshots tutorial-pictures messages lock sbom audit clean venv venv-dev

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## run three nodes, the archive and the portal here, with a small sample day
	@exec $(VENV_PYTHON) -m deploy.demo

test: venv-dev ## run all the tests
	@exec $(VENV_PYTHON) -m tests.support.run

test-fast: venv-dev ## run the fast tests (under two minutes)
	@exec $(VENV_PYTHON) -m tests.support.run --fast

soak: venv-dev ## run the tests with the full counts (hours)
	@exec $(VENV_PYTHON) -m tests.support.run --soak

check: venv-dev ## the gate: format, lint, types, import contracts, migrations, tests
	@exec $(VENV_PYTHON) -m tests.support.gate

bench: venv-dev ## measure all beside its peers and write docs/benchmarks.md (hours, 40 GB)
	@exec $(VENV_PYTHON) -m tests.benchmarks.book

bench-quick: venv-dev ## run all the benchmarks with small counts (two minutes)
	@exec $(VENV_PYTHON) -m tests.benchmarks.book --quick

bench-ingest: venv-dev ## measure how fast objects get in, beside Orthanc and storescp
	@$(VENV_PYTHON) -m tests.benchmarks.ingest

bench-query: venv-dev ## measure how fast studies are found, beside Orthanc
	@$(VENV_PYTHON) -m tests.benchmarks.query

bench-retrieve: venv-dev ## measure how fast studies leave, beside Orthanc and dcmqrscp
	@$(VENV_PYTHON) -m tests.benchmarks.retrieve

bench-web: venv-dev ## measure how fast frames, pictures and metadata leave, beside Orthanc
	@$(VENV_PYTHON) -m tests.benchmarks.web

bench-first-image: venv-dev ## measure the way from the log-in to the first picture in Chromium
	@$(VENV_PYTHON) -m tests.benchmarks.first_image

bench-federation: venv-dev ## measure what the portal adds to a search over 1, 4 and 16 nodes
	@$(VENV_PYTHON) -m tests.benchmarks.federation

bench-pages: venv-dev ## measure each page of the portal beside 100,000 studies
	@$(VENV_PYTHON) -m tests.benchmarks.pages

bench-footprint: venv-dev ## measure a node's memory, disk and start-up time, beside Orthanc
	@$(VENV_PYTHON) -m tests.benchmarks.footprint

bench-archive: venv-dev ## measure copy, recall and scrub beside tar, and the scan of a million studies
	@$(VENV_PYTHON) -m tests.benchmarks.archive

docs: venv-dev ## build the documents as a site into var/site, every link and anchor checked
	@NO_MKDOCS_2_WARNING=1 $(VENV_PYTHON) -m mkdocs build --strict --clean
	@echo "var/site/index.html"

screenshots: venv-dev ## photograph every page: French and English, light and dark, desk and phone
	@$(VENV_PYTHON) -m tests.support.screenshots

tutorial-pictures: venv-dev ## take the pictures of docs/tutorials/ again
	@$(VENV_PYTHON) -m tests.support.tutorial_pictures

messages: venv-dev ## collect the texts of portal and node, compile their French catalogues (needs gettext)
	@$(VENV_PYTHON) -m tests.support.catalogue

lock: venv-dev ## pin every library with its hashes from pyproject.toml
	$(VENV_PYTHON) -m piptools compile -q --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-emit-trusted-host --strip-extras -o requirements.txt pyproject.toml
	$(VENV_PYTHON) -m piptools compile -q --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-emit-trusted-host --strip-extras --allow-unsafe --extra dev \
		-o requirements-dev.txt pyproject.toml

sbom: venv-dev ## write var/sbom.cdx.json: every library that is shipped, its version, digests and licence
	@$(VENV_PYTHON) -m deploy.make_sbom

audit: venv-dev ## look up known weaknesses of the libraries, where the database can be reached
	@$(VENV_PYTHON) -m deploy.audit_libraries

clean: ## remove .venv, caches and the demo's data
	rm -rf .venv var/demo .ruff_cache .mypy_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@$(PYTHON) deploy/bootstrap.py

venv-dev:
	@$(PYTHON) deploy/bootstrap.py --dev
