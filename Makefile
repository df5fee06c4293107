# `make run` and `make test` need Python 3.11 or newer, and nothing else; the first call creates .venv.
SHELL := bash
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help run test test-all up down lint lock bench

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

run: .venv/run ## serve on http://localhost:8000 with SQLite and sample products
	@scripts/run.sh

test: .venv/dev ## run unit and integration tests and, with Docker, a smoke test of the stack; TESTS=path for some
	@TESTS='$(TESTS)' scripts/test.sh

test-all: .venv/dev ## run every test, more than an hour; PART=1/10 or MINUTES=20 for a part of the stack tests
	@PART='$(PART)' MINUTES='$(MINUTES)' scripts/test.sh all

up: ## start the development stack in containers, on http://localhost:8000
	docker compose up --build --detach --wait

down: ## stop the development stack and keep its database
	docker compose down

lint: .venv/dev ## run every linter
	@scripts/lint.sh

lock: .venv/dev ## pin every dependency, with hashes
	@scripts/lock.sh

bench: ## measure requests/s and latency against a plain WSGI function
	$(PYTHON) scripts/bench.py

.venv/run: requirements.txt
	@scripts/venv.sh $(PYTHON) requirements.txt && touch $@

.venv/dev: requirements.txt requirements-dev.txt
	@scripts/venv.sh $(PYTHON) requirements.txt requirements-dev.txt && touch $@ .venv/run
