"""Fixtures of pytest with a real postroom server. Nothing else of postroom is imported before a test asks for one."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from postroom.testing import BlockingClient, BlockingServer, Moment, Seed

_MARKER = """postroom(seed=None, settings=None, clock=None): gives the test a server of its own, with this seed, these \
settings and this clock in place of those of pytest.ini"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options for pytest.ini and for the command line."""
    parser.addini("postroom_seed", "the file with which postroom begins, beside this one")
    parser.addini("postroom_settings", "lines with settings of postroom, such as timezone = Europe/Vienna", "linelist")
    parser.getgroup("postroom").addoption("--postroom-seed", metavar="FILE", help="in place of postroom_seed")


def pytest_configure(config: pytest.Config) -> None:
    """Declares the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture(scope="session")
def postroom_server(pytestconfig: pytest.Config) -> Iterator["BlockingServer"]:
    """The server of this process. It keeps what is stored from one test to the next."""
    with _running(_seed_of(pytestconfig), settings=_settings_of(pytestconfig)) as server:
        yield server


@pytest.fixture
def postroom(request: pytest.FixtureRequest) -> Iterator["BlockingServer"]:
    """A server as at its beginning: that of this process, or one for this test alone if it is marked."""
    marker: pytest.Mark | None = request.node.get_closest_marker("postroom")
    if marker is None:
        server: BlockingServer = request.getfixturevalue("postroom_server")
        server.reset()
        yield server
        return
    with _running(*marker.args, **marker.kwargs) as server:
        yield server


@pytest.fixture
def postroom_client(postroom: "BlockingServer") -> "BlockingClient":
    """A small client of that server, logged in as its administrator."""
    return postroom.admin


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows what its server was asked below a test that has failed."""
    report = yield
    server = (getattr(item, "funcargs", None) or {}).get("postroom")
    if server is not None and call.when == "call" and report.failed:
        report.sections.append(("Requests to postroom", str(server.requests)))
    return report


@contextmanager
def _running(
    seed: "Seed" = None, settings: dict[str, object] | None = None, clock: "Moment | None" = None
) -> Iterator["BlockingServer"]:
    from postroom.testing import HarnessError, running_in_thread

    manager = running_in_thread(seed, settings=settings, clock=clock)
    try:
        server = manager.__enter__()
    except HarnessError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield server
    finally:
        manager.__exit__(None, None, None)


def _seed_of(config: pytest.Config) -> "Seed":
    given: str | None = config.getoption("--postroom-seed")
    if given is not None:
        return config.invocation_params.dir / given
    beside: str = config.getini("postroom_seed")
    if not beside:
        return None
    return (config.inipath or config.rootpath / "pytest.ini").parent / beside


def _settings_of(config: pytest.Config) -> dict[str, object]:
    settings: dict[str, object] = {}
    for line in config.getini("postroom_settings"):
        name, equals, value = line.partition("=")
        if not equals:
            pytest.fail(f"postroom_settings: {line!r} is not of the form name = value", pytrace=False)
        settings[name.strip()] = value.strip()
    return settings
