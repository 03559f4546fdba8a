# postroom: make run | test | test-postgresql | test-cluster | test-torture | test-attack | slow | lint | types | format | fuzz | attack | torture | bench | plots | performance | docs | demo | directory | install | release | pythons | clean

PYTHON ?= python3
BIN = .venv/bin
INSTALLED = .venv/.installed

# bonsai, the LDAP library, is compiled against OpenLDAP; the tests want real servers and a real browser.
BUILD_PACKAGES = libldap2-dev libsasl2-dev gcc python3-dev python3-venv
LDAP_PACKAGES = slapd ldap-utils curl
POSTGRESQL_PACKAGES = postgresql
MAIL_PACKAGES = postfix dovecot-imapd dovecot-pop3d dovecot-lmtpd dovecot-sieve dovecot-auth-lua lua-socket
CLUSTER_PACKAGES = $(POSTGRESQL_PACKAGES) patroni etcd-server
# The generators of clients: one is Java, one makes Ruby.
GENERATOR_PACKAGES = default-jre-headless ruby ruby-typhoeus
# Programs that ask for /service as they come.
DIRECT_CLIENTS = wget php-cli php-curl
TEST_PACKAGES = jq $(LDAP_PACKAGES) $(POSTGRESQL_PACKAGES) $(MAIL_PACKAGES) $(GENERATOR_PACKAGES) $(DIRECT_CLIENTS) chromium chromium-driver nginx-light caddy fail2ban fetchmail systemd prometheus

# What runs on SQLite and on PostgreSQL.
ON_BOTH = tests/app/handlers tests/app/services tests/app/test_model.py tests/app/test_other_processes.py tests/storage

# Those that are JavaScript, in the versions of package-lock.json.
CLIENTS = tests/conformance/clients
CLIENTS_INSTALLED = $(CLIENTS)/node_modules/.installed

.PHONY: help install run test test-live test-postgresql test-torture test-attack slow lint types format fuzz attack torture bench plots performance docs demo directory release pythons clean

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

# Three workers on two cores, as a third of the time is spent waiting; files with many tests come first.
test: install $(CLIENTS_INSTALLED)
	@sh .ci/packages $(TEST_PACKAGES)
	$(BIN)/pytest --numprocesses 3 --dist loadfile --durations 20
	POSTROOM_TEST_ENGINE=postgresql $(BIN)/pytest $(ON_BOTH) -m "not (attack or slow or cluster or torture or sqlite or browser or mail)" --numprocesses 3 --dist loadfile

# A real browser on the page, and real Postfix and Dovecot beside a service.
test-live: install $(CLIENTS_INSTALLED)
	@sh .ci/packages $(TEST_PACKAGES)
	$(BIN)/pytest -m "(browser or mail) and not (attack or torture)" --numprocesses 3 --dist loadfile --durations 10

# All tests that do not choose an engine themselves, on PostgreSQL.
test-postgresql: install
	@sh .ci/packages $(TEST_PACKAGES)
	POSTROOM_TEST_ENGINE=postgresql $(BIN)/pytest -m "not (attack or slow or cluster or torture or sqlite or browser or mail)" --numprocesses 3 --dist loadfile --durations 20

# About four minutes. Left out where the packages cannot be had.
test-cluster: install
	@if sh .ci/packages $(CLUSTER_PACKAGES); then $(BIN)/pytest -m cluster --capture no tests/test_cluster.py; \
	  else echo "The test of the cluster is left out"; fi

# A minute or two of what `make torture` does, kills of what a service stands on, and kills at each step of what has many.
test-torture: install
	@sh .ci/packages $(BUILD_PACKAGES) $(LDAP_PACKAGES) $(POSTGRESQL_PACKAGES) prometheus
	$(BIN)/pytest -m torture --numprocesses 2 --dist loadfile tests/test_torture.py tests/app tests/storage

# What takes minutes each.
test-attack: install
	@sh .ci/packages $(TEST_PACKAGES)
	$(BIN)/pytest -m "attack and not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 20

slow: install
	@sh .ci/packages $(LDAP_PACKAGES)
	$(BIN)/pytest -m slow

$(CLIENTS_INSTALLED): $(CLIENTS)/package.json $(CLIENTS)/package-lock.json
	@command -v npm >/dev/null || sh .ci/packages nodejs npm
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' || \
	  { echo "The tests with generated clients need Node.js 20.19 or newer; without them: $(BIN)/pytest -m 'not generators'" >&2; exit 1; }
	npm ci --prefix $(CLIENTS) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive app schemas storage
	@.ci/audit

# The packages stand at the top of the repository and are installed below the name postroom: the type checker gets a
# folder in which they stand like that.
types: install
	@mkdir -p .typing/postroom
	@for package in app schemas storage; do ln -sfn ../../$$package .typing/postroom/$$package; done
	@for package in testing pytest_plugin; do ln -sfn ../../app/$$package .typing/postroom/$$package; done
	MYPYPATH=.typing $(BIN)/mypy -p postroom
	MYPYPATH=.typing $(BIN)/mypy tests

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

fuzz: install
	$(BIN)/python -m tests.fuzz $(FUZZ)

attack: install
	$(BIN)/python -m tests.attacks $(ATTACK)

# Twenty minutes.
torture: install
	@sh .ci/packages $(BUILD_PACKAGES) $(LDAP_PACKAGES) $(POSTGRESQL_PACKAGES)
	$(BIN)/python -m tests.torture $(TORTURE)

bench: install
	@sh .ci/packages wrk postfix
	$(BIN)/python -m tests.bench $(BENCH)

# The page, from the results in docs/performance or, for example, PLOTS=other.json
plots: install
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m tests.bench.plots $(PLOTS)

# Everything is measured, and docs/performance.md shows it; what broke is missing there, and make fails at the end.
performance:
	@$(MAKE) bench BENCH="--json docs/performance/results.json $(BENCH)"; broken=$$?; $(MAKE) plots && exit $$broken

# The pages as a site, in build/site: every page is in it, and every link leads somewhere.
docs: install
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

demo: install
	@sh .ci/packages $(LDAP_PACKAGES)
	@$(BIN)/python -m tests.demo

directory: install
	@sh .ci/packages $(LDAP_PACKAGES)
	@$(BIN)/python -m tests.directory

cluster: install
	@sh .ci/packages $(CLUSTER_PACKAGES)
	@$(BIN)/python -m tests.cluster $(CLUSTER)

# The sdist and the wheel of the last commit, built twice and compared.
release: install
	$(BIN)/python -m tests.release $(DIST)

# Every Python of this machine that postroom supports, also those of pyenv.
pythons: install
	PYENV_VERSION=$${PYENV_VERSION:-$$(pyenv versions --bare 2>/dev/null | paste -sd: -)} $(BIN)/nox

clean:
	rm -rf .venv .typing $(CLIENTS)/node_modules build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find app schemas storage tests -name __pycache__ -type d -prune -exec rm -rf {} +
