"""Fixtures of pytest with a real postroom server. Nothing else of postroom is imported before a test asks for one."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from postroom.testing import BlockingClient, BlockingServer, Moment, Seed

_MARKER = """postroom(seed=None, settings=None, clock=None, strict=None): gives the test a server of its own, with \
this seed, these settings and this clock in place of those of pytest.ini; strict: as postroom_strict, for this test"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options for pytest.ini and for the command line."""
    parser.addini("postroom_seed", "the file with which postroom begins, beside this one")
    parser.addini("postroom_settings", "lines with settings of postroom, such as timezone = Europe/Vienna", "linelist")
    parser.addini("postroom_strict", "whether requests and responses have to be as described", "bool", default=False)
    parser.getgroup("postroom").addoption("--postroom-seed", metavar="FILE", help="in place of postroom_seed")


def pytest_configure(config: pytest.Config) -> None:
    """Declares the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture(scope="session")
def postroom_server(pytestconfig: pytest.Config) -> Iterator["BlockingServer"]:
    """The server of this process. It keeps what is stored from one test to the next."""
    strict: bool = pytestconfig.getini("postroom_strict")
    with _running(_seed_of(pytestconfig), settings=_settings_of(pytestconfig), strict=strict) as server:
        yield server
        # Tests are checked one by one.
        server.requests.clear()


@pytest.fixture
def postroom(request: pytest.FixtureRequest) -> Iterator["BlockingServer"]:
    """A server as at its beginning: that of this process, or one for this test alone if it is marked."""
    marker: pytest.Mark | None = request.node.get_closest_marker("postroom")
    if marker is None:
        server: BlockingServer = request.getfixturevalue("postroom_server")
        server.reset()
        yield server
        return
    options = {"strict": request.config.getini("postroom_strict"), **marker.kwargs}
    with _running(*marker.args, **options) as server:
        yield server
        server.requests.clear()


@pytest.fixture
def postroom_client(postroom: "BlockingServer") -> "BlockingClient":
    """A small client of that server, logged in as its administrator."""
    return postroom.admin


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fails a test in strict mode that has asked, or was answered, what the description does not allow."""
    yield
    server = _server_of(item)
    wrong = server.requests.wrong() if server is not None and server.requests.is_strict else ""
    if wrong:
        pytest.fail(wrong, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows what its server was asked below a test that has failed."""
    report = yield
    server = _server_of(item)
    if server is not None and call.when == "call" and report.failed:
        report.sections.append(("Requests to postroom", str(server.requests)))
        if len(server.faults):
            report.sections.append(("Faults of postroom", str(server.faults)))
    return report


def _server_of(item: pytest.Item) -> "BlockingServer | None":
    return (getattr(item, "funcargs", None) or {}).get("postroom")


@contextmanager
def _running(
    seed: "Seed" = None,
    settings: dict[str, object] | None = None,
    clock: "Moment | None" = None,
    strict: bool = False,
) -> Iterator["BlockingServer"]:
    from postroom.testing import HarnessError, running_in_thread

    manager = running_in_thread(seed, settings=settings, clock=clock, strict=strict)
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
