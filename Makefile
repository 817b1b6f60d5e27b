# One command each. Needs Linux, make, and Python 3.11 or 3.12 with its venv module; nothing else.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: help run gateway test check demo-load storm bench bench-gateway bench-imports bench-lookup bench-overload bench-resellers bench-rotation bench-routing bench-scale bench-silent bench-trickle soak soak-money soak-supply lock pictures

# The first of these that is Python 3.11 or 3.12 and can make virtual environments.
FITS := import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
	$$p -c '$(FITS)' >/dev/null 2>&1 && { echo $$p; break; }; done)

VENV := .venv
PY := $(VENV)/bin/python
# Written when an installation is complete, so an interrupted one is done again.
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
PIP := $(PY) -m pip --quiet --disable-pip-version-check --no-input

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUNTIME) ## the whole shop on http://127.0.0.1:8000 (PORT=… changes it); Ctrl-C stops it
	@$(PY) -m cardshop.embedded -- $(PY) manage.py up

gateway: $(RUNTIME) ## nginx in front of the running shop, on http://127.0.0.1:8080 (GATEWAY_PORT=… changes it)
	@$(PY) manage.py gateway

# All of them in two processes; what ARGS chooses in one, which begins sooner and may be debugged.
test: $(DEV) ## all tests (ARGS="-k name" chooses)
	@$(PY) -m cardshop.operations.translations
	@DJANGO_SETTINGS_MODULE=cardshop.settings.test \
		$(PY) -m cardshop.embedded --var var/test -- $(PY) -m pytest $(or $(ARGS),-n 2)

# Throw-away values, long enough for Django's own check of them.
PRODUCTION = env DJANGO_SETTINGS_MODULE=cardshop.settings.production \
	SECRET_KEY="$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(64))')" \
	CARD_KEY_KEK="check:$$($(PY) -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())')" \
	ALLOWED_HOSTS=shop.example.org MAIL_URL=smtp://localhost MEDIA_ROOT=var/media STATIC_ROOT=var/static \
	DATABASE_URL=postgresql://localhost/none REDIS_URL=redis://localhost BROKER_URL=amqp://localhost \
	PROMETHEUS_MULTIPROC_DIR=var/metrics

check: $(DEV) ## what CI checks besides the tests: style, types, layers, migrations, deployment
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PY) -m mypy .
	$(VENV)/bin/lint-imports
	@$(PY) -m cardshop.embedded --quiet --var var/check -- \
		$(PY) manage.py makemigrations --check --dry-run
	@$(PY) -m cardshop.operations.translations
	@$(PRODUCTION) $(PY) manage.py check --deploy --fail-level WARNING
	@if command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || [ -n "$$CI" ]; then \
		export CARDSHOP_VAR="$(CURDIR)/var/check"; \
		$(PY) manage.py collectstatic --verbosity 0 --noinput && $(PY) manage.py gateway --test; \
	else echo "no nginx here: the gateway's configuration was not tested"; fi

demo-load: $(DEV) ## 200 buyers at once against the running whole, then the books are checked
	@$(PY) -m benchmarks.demo_load

storm: $(DEV) ## 10,000 buyers, 1,000 keys, one second (ARGS="--help" tells the options)
	@$(PY) -m benchmarks.storm $(ARGS)

soak: $(DEV) ## 20 storms while processes are killed with -9 (ARGS="--help" tells the options)
	@$(PY) -m benchmarks.soak $(ARGS)

soak-money: $(DEV) ## money that meets itself: 1,000 rounds of each race (ROUNDS=… changes it)
	@MONEY_ROUNDS=$(or $(ROUNDS),1000) DJANGO_SETTINGS_MODULE=cardshop.settings.test \
		$(PY) -m cardshop.embedded --var var/test -- $(PY) -m pytest tests/race/test_money.py tests/race/test_refunding.py --show-capture=no $(ARGS)

soak-supply: $(DEV) ## a shop and its supplier, two whole installations, killed at every step (ARGS="--rounds 3")
	@$(PY) -m benchmarks.supply $(ARGS)

bench-silent: $(DEV) ## the best channel dies in a sale and says nothing: who still pays?
	@$(PY) -m benchmarks.silent $(ARGS)

bench-trickle: $(DEV) ## a provider that sends a byte a second: who notices? (ARGS="--minutes 10")
	@$(PY) -m benchmarks.trickle $(ARGS)

bench: $(DEV) ## stock strategies, allocator and admission view beside bare baselines (ten minutes)
	@$(PY) -m benchmarks.strategies
	@$(PY) -m benchmarks.admission_view

bench-gateway: $(DEV) ## what the gateway spares the shop, beside the same nginx doing nothing (three minutes)
	@$(PY) -m benchmarks.gateway $(ARGS)

bench-imports: $(DEV) ## 100,000 and 1,000,000 keys imported, beside a bare COPY of them (three minutes)
	@$(PY) -m benchmarks.imports $(ARGS)

bench-lookup: $(DEV) ## can a stranger tell by the clock whether an order is there? (half an hour)
	@$(PY) -m benchmarks.lookup $(ARGS)

bench-overload: $(DEV) ## five times the clicks that the shop can use, for a minute (ten minutes; ARGS="--help")
	@$(PY) -m benchmarks.overload $(ARGS)

bench-resellers: $(DEV) ## orders by program, beside pretix's in the same run (ARGS="--pretix VENV")
	@$(PY) -m benchmarks.resellers $(ARGS)

bench-rotation: $(DEV) ## all keys are wrapped anew while others buy: who notices? (three minutes; ARGS="--rate 50")
	@$(PY) -m benchmarks.rotation $(ARGS)

bench-routing: $(DEV) ## which channel first? routers on simulated channels (ten minutes; ARGS="--quick": one)
	@$(PY) -m benchmarks.routing $(ARGS)

bench-scale: $(DEV) ## every page with 10,000 orders and keys, and with a million (an hour; ARGS="--help")
	@$(PY) -m benchmarks.scale $(ARGS)

COMPILE = var/lock/bin/pip-compile --quiet --strip-extras --allow-unsafe --no-header --no-annotate \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links $(ARGS)

pictures: $(DEV) ## a fresh installation to its first sale in a real browser; its pictures, in docs/pictures (three minutes)
	@PYTHONPATH=. $(PY) docs/pictures/take.py

lock: $(RUNTIME) ## pin requirements*.in anew in requirements*.txt (ARGS="--upgrade" takes newer versions)
	@$(PY) -m venv --clear var/lock && var/lock/bin/python -m pip -q install pip-tools
	@cp requirements.txt var/lock/requirements.txt
	@$(COMPILE) --output-file var/lock/requirements.txt requirements.in
	@{ echo '# Written by `make lock` from requirements.in.'; \
		{ grep -F == var/lock/requirements.txt; grep ^async-timeout requirements.in; } | LC_ALL=C sort -u; \
		} > requirements.txt
	@grep -hF == requirements.txt requirements-dev.txt > var/lock/requirements-dev.txt
	@$(COMPILE) --output-file var/lock/requirements-dev.txt requirements-dev.in
	@{ echo '# Written by `make lock` from requirements-dev.in.'; echo '-r requirements.txt'; \
		grep -F == var/lock/requirements-dev.txt | grep -vxFf requirements.txt; } > requirements-dev.txt

$(RUNTIME): requirements.txt
	@[ -n "$(PYTHON)" ] && "$(PYTHON)" -c '$(FITS)' >/dev/null 2>&1 || { \
		echo "Cardshop needs Python 3.11 or 3.12 with its venv module$(if $(PYTHON),; $(PYTHON) is not that)."; \
		echo "Debian, Ubuntu: apt install python3-venv. Elsewhere: make run PYTHON=/path/to/python3.12"; \
		exit 1; } >&2
	@echo "cardshop: installing packages into $(VENV) (once, a minute or so)" >&2
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(PIP) install -r requirements.txt
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	@echo "cardshop: installing what tests and checks need (once)" >&2
	@$(PIP) install -r requirements-dev.txt
	@touch $@
