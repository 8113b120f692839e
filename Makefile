# Each target does its own set-up. Python 3.11 or newer is all that `make demo` needs.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo install test lint bench audit lock clean

demo: .venv/.runtime  ## two sandbox tenants, the bridge and a portal; Ctrl-C stops all
	@.venv/bin/python bridge/sandbox/front_end_build.py || true  # it said why, and so will every embed
	@.venv/bin/qlik-bridge demo

install: .venv/.runtime  ## what the bridge needs, into .venv

test: .venv/.dev  ## everything, real browser and real Qlik clients included
	@tests/setup.sh
	@.venv/bin/python bridge/sandbox/front_end_build.py || [ "$$CI" != true ]
	@.venv/bin/python -m pytest --cov --cov-report=
	@.venv/bin/python -m coverage report --include='bridge/services/*' --fail-under=95

lint: .venv/.dev
	@.venv/bin/python -m ruff check .
	@.venv/bin/python -m ruff format --check .
	@.venv/bin/python -m mypy

bench: .venv/.dev  ## what the bridge costs, written to docs/benchmarks.md; about half an hour on an idle machine
	@tests/bench/setup.sh
	@PYTHONPATH=tests .venv/bin/python -m bench $(BENCH)

audit: .venv-audit/.installed  ## asks PyPI which pinned packages have known holes; what it cannot ask about is a failure
	@.venv-audit/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off --requirement requirements/dev.lock

lock: .venv/.dev  ## pin every dependency anew, with hashes
	$(PIP) uv
	.venv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --no-annotate --no-header --upgrade \
		--quiet --output-file requirements/runtime.lock pyproject.toml
	.venv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --no-annotate --no-header --upgrade \
		--quiet --extra postgres --output-file requirements/postgres.lock pyproject.toml
	.venv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --no-annotate --no-header --upgrade \
		--quiet --group dev --output-file requirements/dev.lock pyproject.toml
	.venv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --no-annotate --no-header --upgrade \
		--quiet --output-file requirements/qlik-sdk.lock requirements/qlik-sdk.in
	.venv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --no-annotate --no-header --upgrade \
		--quiet --output-file requirements/node.lock requirements/node.in
	.venv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --no-annotate --no-header --upgrade \
		--quiet --output-file requirements/audit.lock requirements/audit.in
	.venv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --no-annotate --no-header --upgrade \
		--quiet --constraint requirements/dev.lock --output-file requirements/bench.lock requirements/bench.in

clean:
	rm -rf .venv .venv-qlik-sdk .venv-audit tests/clients/node/node_modules bridge/sandbox/runtime/node_modules \
		bridge/sandbox/runtime/dist bridge/sandbox/runtime/dist.new bridge/sandbox/runtime/why.txt \
		instance artifacts .coverage .mypy_cache .pytest_cache .ruff_cache

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Qlik Bridge needs Python 3.11 or newer; name it: make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -m venv .venv

.venv/.runtime: .venv/bin/python requirements/runtime.lock pyproject.toml
	@echo "Installing what the bridge needs into .venv ..."
	@$(PIP) --require-hashes --requirement requirements/runtime.lock
	@$(PIP) --no-deps --editable .
	@touch $@

.venv/.dev: .venv/bin/python requirements/dev.lock pyproject.toml
	@echo "Installing what the tests need into .venv ..."
	@$(PIP) --require-hashes --requirement requirements/dev.lock
	@$(PIP) --no-deps --editable .
	@touch $@ .venv/.runtime

.venv-audit/.installed: .venv/bin/python requirements/audit.lock
	@.venv/bin/python -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/audit.lock
	@touch $@
