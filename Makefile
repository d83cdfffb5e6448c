# Everything happens in .venv/ of this directory. `make` alone lists the targets.
SHELL := /bin/sh
PYTHON_BIN := .venv/bin/python
JS_FILES := $(shell find static clients/js tests/js -name '*.js' -not -path '*/vendor/*' 2>/dev/null)
JS_TESTS := $(shell find tests/js -name '*.test.js' 2>/dev/null)
# Also with uvicorn's own protocols, which frames and polls take a longer way through.
FALLBACK_TESTS := $(addprefix tests/flows/test_,socket.py socket_doors.py socket_events.py resume.py poll.py)
PRODUCTION := DEBUG=0 SECRET_KEY=$$($(PYTHON_BIN) -c 'import secrets; print(secrets.token_urlsafe(50))') ALLOWED_HOSTS=chat.example.org

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

install: ## Make .venv with what the server needs.
	@scripts/install requirements.txt

install-dev: install
	@scripts/install requirements-dev.txt

run: install ## Serve on http://127.0.0.1:8000 (PORT changes it), with a demo in an empty database.
	@exec $(PYTHON_BIN) -m scripts.run

check: install-dev ## Format, lint, types, layers, migrations, production settings, JavaScript, catalogues.
	@scripts/need node gettext
	$(PYTHON_BIN) -m ruff format --check
	$(PYTHON_BIN) -m ruff check
	.venv/bin/lint-imports
	DEBUG=1 $(PYTHON_BIN) -m mypy
	DEBUG=1 $(PYTHON_BIN) manage.py makemigrations --check --dry-run
	$(PRODUCTION) $(PYTHON_BIN) manage.py check --deploy --fail-level WARNING
	@scripts/check-javascript $(JS_FILES)
	scripts/check-messages

test: install-dev ## The whole suite: JavaScript, PostgreSQL, SQLite and a real browser.
	@scripts/need postgresql redis node npm chromium fonts
	node --test $(or $(JS_TESTS),$(error tests/js has no tests))
	$(PYTHON_BIN) -m tests.services -- $(PYTHON_BIN) -m pytest -m 'not browser and not setup'
	SERVER_WS=websockets-sansio SERVER_HTTP=httptools $(PYTHON_BIN) -m pytest $(FALLBACK_TESTS)
	$(PYTHON_BIN) -m pytest -m 'not postgres and not browser'
	$(PYTHON_BIN) -m pytest -m browser  # alone: what drives the browser keeps a running event loop in the process

test-fast: install-dev ## Only what needs neither PostgreSQL nor a browser.
	$(PYTHON_BIN) -m pytest -m 'not postgres and not browser and not setup'

bench: install-dev ## Measure this server beside others, 16 minutes on an idle machine (docs/performance.md).
	@scripts/need gcc node npm nchan postgresql redis
	$(PYTHON_BIN) -m bench.run $(BENCH)

format: install-dev ## Rewrite the Python files in the one format.
	$(PYTHON_BIN) -m ruff check --fix
	$(PYTHON_BIN) -m ruff format

messages: install-dev ## Collect new texts into the catalogues, and compile them.
	@scripts/need gettext
	@scripts/messages
	DEBUG=1 $(PYTHON_BIN) manage.py compilemessages --verbosity=0 --ignore=.venv

pins: install ## Resolve requirements*.in again into requirements*.txt.
	scripts/pins

emoji: install ## Make static/emoji/ again from npm's emojibase-data.
	@scripts/need npm
	$(PYTHON_BIN) -m scripts.emoji

look-alikes: install ## Make groups/look_alikes.json again from PyPI's confusable_homoglyphs.
	$(PYTHON_BIN) -m scripts.look_alikes

clean: ## Remove .venv and everything that tools made; keep the database.
	rm -rf .venv staticfiles .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help install install-dev run check test test-fast bench format messages pins emoji look-alikes clean
