# Everything a person does here. `make` lists it.
# The file is written for GNU make; every command runs in .venv, which `make setup` makes.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
BIN := $(VENV)/bin
# The first Python that is new enough; `make setup PYTHON=/path/to/python` takes another.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3 python,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $(name))))
# The version of Node.js when it is new enough and npm is there, else nothing.
NODE := $(shell node -e 'const [major, minor] = process.versions.node.split(".").map(Number); \
	process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' 2>/dev/null \
	&& command -v npm >/dev/null && node --version)

INSTALLED := $(VENV)/.installed
# The pages that Node.js builds: web/NAME becomes api/static/NAME.
BUILT := api/static/client/index.html api/static/graphiql/index.html
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
LOCK := $(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --no-annotate --no-header
# How one more argument reaches pytest: make test ARGS="tests/test_packaging.py -x"
ARGS ?=

.PHONY: help
help:
	@echo 'make run and make test are all that a newcomer needs.'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' $(firstword $(MAKEFILE_LIST)) | \
		awk -F@ '{ printf "%-16s %s\n", $$1, $$2 }'

.PHONY: run
run: setup ## set up, migrate and serve on http://127.0.0.1:8000; a first start adds a demo
	@$(BIN)/spaces run

.PHONY: cluster
cluster: setup ## two API processes, two media processes, two workers, PostgreSQL and a store, for a look around
	@$(BIN)/python -m tests.product.cluster

.PHONY: chaos
chaos: setup ## stop PostgreSQL, the store and each kind of process for half a minute under load: nothing is lost
	@SPACES_CHAOS_S=30 $(BIN)/pytest -rs -s -m long -o faulthandler_timeout=1200 tests/product/test_chaos.py $(ARGS)

WORKERS ?= 3

.PHONY: test
test: setup ## set up and run the tests; says which parts are skipped, and why
# Some tests last as long as what is said in them: three workers keep two cores busy.
	@$(BIN)/pytest -rs -n $(WORKERS) --dist loadfile $(ARGS)

.PHONY: test-client
test-client: setup ## the browser client in Chromium and WebKit, one test after the other; some five minutes
	@$(BIN)/pytest -rs -m client -o faulthandler_timeout=600 tests/product/client $(ARGS)

.PHONY: test-all
test-all: setup ## the same, with the tests that take minutes, and the product's on PostgreSQL too
	@$(BIN)/pytest -rs -m 'not client' $(ARGS)
	@$(if $(ARGS),,$(MAKE) test-client)
	@$(if $(ARGS),,$(BIN)/pytest -rs -n 2 --dist loadfile --database postgres tests/product)

.PHONY: mutants
mutants: setup ## change the retention and audit code in every small way, and see that a test fails; some ten minutes
	@rm -rf mutants
	@mkdir -p mutants/tmp
	@TMPDIR=$(CURDIR)/mutants/tmp nice $(BIN)/mutmut run --max-children $(or $(JOBS),1)
	@$(BIN)/mutmut results

.PHONY: check
check: setup ## format, lint, types, layers; schema file and migrations up to date
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/spaces schema --check
	$(BIN)/spaces migrate --check

.PHONY: fix
fix: setup ## repair what of that can be repaired
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: schema
schema: setup ## write the schema file and its pages anew
	$(BIN)/spaces schema

.PHONY: pictures
pictures: setup ## make the pictures of the browser client in docs/screenshots
	@$(BIN)/python -m tests.product.client.pictures $(ARGS)

.PHONY: bench
bench: setup ## run every benchmark
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: lock
lock: setup ## resolve the dependencies of pyproject.toml into the lock files
	$(LOCK) --output-file requirements.lock pyproject.toml
	$(LOCK) --constraint requirements.lock --extra traces --output-file requirements-traces.lock pyproject.toml
	$(LOCK) --constraint requirements.lock --group dev --output-file requirements-dev.lock pyproject.toml

.PHONY: clean
clean: ## remove what was built, the environment too; data/ stays
	rm -rf $(VENV) api/static build dist web/*/node_modules web/client/src/documents.ts tests/*/node/node_modules
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis test-results mutants
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------- setting up ----------

.PHONY: setup
setup: $(INSTALLED) browser ## make .venv, install the locked dependencies, build the browser parts

$(INSTALLED): requirements-dev.lock pyproject.toml
ifeq ($(strip $(PYTHON)),)
	@echo 'Spaces needs Python 3.11 or newer, and found none. Install it, or name it: make setup PYTHON=...' >&2
	@exit 1
else
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Making $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV); } || \
		{ rm -rf $(VENV); echo 'Python could not make a virtual environment (on Debian: apt-get install python3-venv).' >&2; exit 1; }
	@echo 'Installing the locked dependencies (a first time takes a minute or two)'
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
endif

.PHONY: browser
ifeq ($(strip $(NODE)),)
browser:
	@test -z '$(filter-out $(wildcard $(BUILT)),$(BUILT))' || { \
		echo 'Left out: the browser client and GraphiQL, which need Node.js 20.19 or newer with npm. Everything else is there.'; \
		test -z "$$SPACES_CI"; }
else
browser: $(BUILT)
endif

api/static/client/index.html: schema/schema.graphql $(shell find web/client/src -type f ! -name documents.ts)

# With SPACES_CI set a failed build is an error; else Spaces goes on without the page and says so.
.SECONDEXPANSION:
$(BUILT): api/static/%/index.html: web/%/package-lock.json $$(wildcard web/%/*.* web/%/src/*.*)
	@echo 'Building web/$*'
	@mkdir -p build
	@{ npm --prefix web/$* ci --no-audit --no-fund && npm --prefix web/$* run build; } >build/$*.log 2>&1 || \
		{ test -z "$$SPACES_CI" || { cat build/$*.log; exit 1; }; \
		  echo 'Left out: web/$*, whose build failed (see build/$*.log). Everything else is there.'; }
