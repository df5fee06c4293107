# `make run` and `make test` need Python 3.11 or newer, and nothing else; the first call of each makes .venv.
SHELL := bash
PYTHON ?= python3
BIN := .venv/bin
SHELL_FILES := $(wildcard scripts/*.sh) .ci/run

.PHONY: help run test up down lint lock bench

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

run: .venv/run ## serve on http://localhost:8000 with SQLite, sample products included
	@scripts/run.sh

test: .venv/dev ## every level of tests that this machine can run; TESTS=path for some
	$(BIN)/pytest $(or $(TESTS),tests)

up: ## the development stack in containers, on http://localhost:8000
	docker compose up --build --detach --wait

down: ## stop it; its database stays
	docker compose down

lint: .venv/dev ## every linter that this machine can run
	@scripts/lint.sh

lock: .venv/dev ## pin every dependency again, with hashes
	@scripts/lock.sh

bench: ## requests/s and latency of the stack, as shares of a plain WSGI function's
	$(PYTHON) scripts/bench.py

.venv/run: requirements.txt
	@scripts/venv.sh $(PYTHON) requirements.txt && touch $@

.venv/dev: requirements.txt requirements-dev.txt
	@scripts/venv.sh $(PYTHON) requirements.txt requirements-dev.txt && touch $@ .venv/run
