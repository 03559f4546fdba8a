# postroom: make run | test | lint | types | format | bench | demo | directory | install | clean

PYTHON ?= python3
BIN = .venv/bin
INSTALLED = .venv/.installed

# bonsai, the LDAP library, is compiled against OpenLDAP; the tests want a real directory server and a real browser.
BUILD_PACKAGES = libldap2-dev libsasl2-dev gcc python3-dev python3-venv
LDAP_PACKAGES = slapd ldap-utils curl
TEST_PACKAGES = $(LDAP_PACKAGES) chromium chromium-driver nginx-light caddy

.PHONY: help install run test lint types format bench demo directory clean

help:
	@sed -n '1s/^# //p' Makefile

install: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "postroom needs Python 3.11 or newer; name one with: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@sh .ci/packages $(BUILD_PACKAGES)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,dev]'
	@touch $@

run: install
	$(BIN)/postroom serve

test: install
	@sh .ci/packages $(TEST_PACKAGES)
	$(BIN)/pytest

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check

# The packages stand at the top of the repository and are installed below the name postroom: the type checker gets a
# folder in which they stand like that.
types: install
	@mkdir -p .typing/postroom
	@for package in app schemas storage; do ln -sfn ../../$$package .typing/postroom/$$package; done
	MYPYPATH=.typing $(BIN)/mypy -p postroom
	MYPYPATH=.typing $(BIN)/mypy tests

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: install
	@sh .ci/packages wrk
	$(BIN)/python -m tests.bench $(BENCH)

demo: install
	@sh .ci/packages $(LDAP_PACKAGES)
	@$(BIN)/python -m tests.demo

directory: install
	@sh .ci/packages $(LDAP_PACKAGES)
	@$(BIN)/python -m tests.directory

clean:
	rm -rf .venv .typing build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find app schemas storage tests -name __pycache__ -type d -prune -exec rm -rf {} +
