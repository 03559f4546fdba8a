"""A browser that looks at the page of a real server."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from postroom.testing import BlockingServer, running_in_thread
from tests.page.visitor import Visitor
from tests.support.browser import chromium

SEED = {
    "domains": [{"domainname": "example.org", "maxUser": 5000}, {"domainname": "example.com", "maxUser": 10}],
    "roles": [
        {"name": "helpers", "permissions": [{"DomainAdmin": "example.org"}]},
        {"name": "readers", "permissions": [{"DomainAdminRO": "example.org"}]},
    ],
    "users": [
        {"username": "anna@example.org", "properties": {"displayname": "Anna Berg"}, "roles": ["helpers"]},
        {"username": "bert@example.org", "properties": {"displayname": "Bert Cole"}, "roles": ["readers"]},
        {"username": "hall@example.org", "status": 4},
    ],
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """One for all tests of a file; each begins logged out, since its server has a port of its own."""
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def server() -> Iterator[BlockingServer]:
    """A server with two domains and three people."""
    with running_in_thread(SEED) as server:
        yield server


@pytest.fixture
def visitor(browser: Chrome, server: BlockingServer) -> Visitor:
    """Somebody who is logged in as the administrator."""
    visitor = Visitor(browser, server.url)
    visitor.visit()
    visitor.log_in()
    return visitor
