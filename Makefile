# Every target calls a script; what is there already is left alone, so each can be run again at any time.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.SILENT:
MAKEFLAGS += --no-print-directory
.PHONY: help setup venv engine stack lab-host lab demo browser test test-unit test-versions test-all drift-matrix bench bench-profile lint docs lab-reset lab-down clean

help: ## this list
	echo "make demo sets up what is missing, starts the lab, deploys Nova on it and shows that it works."
	echo
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	echo
	echo "Afterwards '. lab/activate' puts pulumi on PATH and selects the lab: 'pulumi preview', 'pulumi up' ... work on its stack."
	echo "'. ./activate' puts pulumi on PATH and selects nothing: for a stack of your own."

setup: venv engine stack lab-host ## set up what is missing: venv, engine, stack, podman and the lab's images

venv: ## the virtual environment .venv, from requirements-dev.txt
	toolchain/venv

engine: ## the Pulumi engine: from PATH, from Pulumi's installer or built from Go modules
	toolchain/engine >/dev/null

stack: venv engine
	toolchain/stack

lab-host:
	lab/setup-host

lab: setup ## start the lab's nodes
	lab/up

demo: setup ## the whole of it: start the lab, pulumi up, boot an instance, show both tables
	lab/demo

browser:
	toolchain/browser

test: setup lint browser ## all tests but those marked slow, also on labs of their own
	. ./activate && exec pytest tests -n 3 --dist loadgroup

test-unit: venv ## the tests that need no engine and no lab
	.venv/bin/pytest tests/unit -n 2

test-versions: venv ## the unit tests with the lowest and the newest versions of Python packages that requirements*.txt allow
	toolchain/dependency-versions

test-all: setup lint browser test-versions ## every test: make test, what is marked slow, and other versions of Python packages
	. ./activate && exec pytest tests -m 'slow or not slow' -n 3 --dist loadgroup

drift-matrix: setup ## every kind of drift one by one on the lab; writes the table of docs/drift.md: [KIND=WORDS]
	. ./activate && exec python -m tests.lab.drift.matrix

bench: setup ## speed beside others: [BENCH=fresh|drift|nothing|option|curve] [NODES=N] [ROUNDS=N]; writes docs/benchmarks.md
	benchmarks/venv
	exec .venv-bench/bin/python -m benchmarks

bench-profile: setup ## where the time of one command goes: [NODES=N] [WHAT=preview|up|option]
	benchmarks/venv
	exec .venv-bench/bin/python -m benchmarks.profiling

lint: venv ## rules, format and types; the workflows
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy --strict nova_infra
	toolchain/lint-workflows

docs: venv ## write docs/settings.md and the config of Pulumi.yaml from the models, docs/api.md from the docstrings
	.venv/bin/python toolchain/settings-page
	.venv/bin/python toolchain/api-page

lab-reset: setup ## put fresh nodes in place, with the same keys
	lab/reset

lab-down: ## remove all that the lab made
	lab/down

clean: ## remove what was made in the checkout; the lab and the cache stay (make lab-down)
	rm -rf .venv .venv.log .venv-bench .venv-bench.log toolchain/.engine-path *.egg-info build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find nova_infra tests lab benchmarks -name __pycache__ -prune -exec rm -rf {} +
