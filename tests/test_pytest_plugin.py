"""The plugin of pytest, in a project of somebody else; `.ci/run` does the same with the wheel."""

import subprocess
import sys
from pathlib import Path

import pytest

#: Without the second, some versions of pytest-asyncio warn.
_SCOPE = ["-o", "asyncio_default_fixture_loop_scope=function"]
_WITHOUT_ASYNCIO = ("-p", "no:asyncio")

PROJECT = Path(__file__).parent / "client_project"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs pytest in the project."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        [*_SCOPE, "-o", "asyncio_mode=strict"],
        # There anyio leaves all coroutines to pytest-asyncio.
        [*_SCOPE, "-o", "asyncio_mode=auto", "--ignore", "test_anyio.py"],
        [*_SCOPE, "-o", "asyncio_mode=strict", "--numprocesses", "2"],
        [*_WITHOUT_ASYNCIO, "--ignore", "test_asyncio.py"],
    ],
    ids=["strict", "auto", "xdist", "anyio"],
)
def test_a_project_uses_it(arguments: list[str]) -> None:
    """Beside pytest-asyncio in either mode, anyio, unittest and xdist, and packages called app, schemas and storage."""
    done = run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_imported_in_vain() -> None:
    """A run without its fixtures loads the plugin only."""
    done = run("unused.py", *_WITHOUT_ASYNCIO)
    assert done.returncode == 0, done.stdout


def test_a_failure_shows_the_requests() -> None:
    """Those of its server, with masked passwords; a mistake in a seed needs no traceback."""
    done = run("failing.py", *_WITHOUT_ASYNCIO)
    assert "2 failed, 1 passed, 1 error" in done.stdout
    section = done.stdout.split(" Requests to postroom ")[1]
    assert "200 PUT /api/v1/domains/1/users/1/password (setPassword, admin, " in section
    assert '{"new":"***"}' in section
    assert "\nfault 1 (operation='deleteUser', status=503) has struck 0 times\n" in section
    assert "seed: users.0.colour (anna): Unknown field" in done.stdout
    assert "marshmallow" not in done.stdout
    said = done.stdout.split(" test_something_that_is_not_described ")[1].split("-- Requests to postroom --")[0]
    assert "Not as the API is described:\n200 GET /api/v1/domains/1/users?limt=10 (getUsers, admin, " in said
    assert "\n    query: Additional properties are not allowed ('limt' was unexpected)\n" in said
    assert "Traceback" not in said
    assert "exception" not in said


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--postroom-seed", "nowhere.json"], "nowhere.json cannot be read"),
        (["-o", "postroom_seed=pytest.ini"], "pytest.ini is no YAML"),
        (["-o", "postroom_settings=timezone"], "'timezone' is not of the form name = value"),
        (["-o", "postroom_settings=host=0.0.0.0"], "settings: host cannot be chosen"),
    ],
)
def test_wrong_options_are_named(arguments: list[str], reason: str) -> None:
    """Each test that needs the server says why there is none."""
    done = run("test_client.py::test_settings_count", *_WITHOUT_ASYNCIO, *arguments)
    assert done.returncode == 1
    assert reason in done.stdout
    assert "Traceback" not in done.stdout
