"""The tests that need no server besides, on every Python of this machine that postroom supports: `make pythons`."""

import nox

nox.options.default_venv_backend = "venv"
#: Where one is missing, the others are tried.
nox.options.error_on_missing_interpreters = False

#: What shows that the libraries are there, that both engines' SQL is made, and that the service serves.
TESTS = ("tests/schemas", "tests/storage", "tests/app/handlers", "tests/app/test_cli.py", "tests/app/test_workers.py")


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """Installs postroom with what its tests need, and runs those of TESTS or those that are named."""
    session.install("--quiet", ".[test]")
    session.run(
        "pytest",
        *("--numprocesses", "2", "--dist", "loadfile", "--quiet"),
        *("-m", "not (slow or attack or cluster or torture or postgresql or slapd or browser or generators)"),
        *(session.posargs or TESTS),
    )
