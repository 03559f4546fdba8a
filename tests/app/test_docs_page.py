"""The page that shows the description: it works in a browser, with nothing from elsewhere."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, web
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import presence_of_element_located
from selenium.webdriver.support.wait import WebDriverWait

from postroom.app.config import Config
from postroom.app.main import create_app
from postroom.app.routes import ROUTES
from postroom.app.server.runner import make_runner
from tests.support.browser import chromium, complaints, network


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """The address of a running service."""
    config = Config(database=":memory:", port=0, admin_password="a long enough password")
    runner = make_runner(create_app(config), 1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Chrome]:
    """A browser of the test's own."""
    started = chromium(tmp_path / "profile")
    opened = await asyncio.to_thread(started.__enter__)
    try:
        yield opened
    finally:
        await asyncio.to_thread(started.__exit__, None, None, None)


def open_page(browser: Chrome, url: str) -> list[str]:
    """Opens a page and waits for its first operation; the paths of all of them."""
    browser.get(url)
    WebDriverWait(browser, 30).until(presence_of_element_located((By.CSS_SELECTOR, ".opblock")))
    found = browser.find_elements(By.CSS_SELECTOR, ".opblock [data-path]")
    return [element.get_attribute("data-path") or "" for element in found]


def show_operation(browser: Chrome, operation_id: str) -> str:
    """Unfolds an operation as a click does; the text of its description."""
    block = browser.find_element(By.CSS_SELECTOR, f".opblock[id$='-{operation_id}']")
    browser.execute_script("arguments[0].click()", block.find_element(By.CSS_SELECTOR, ".opblock-summary-control"))
    described = (By.CSS_SELECTOR, f".opblock[id$='-{operation_id}'] .opblock-body .parameters-container")
    WebDriverWait(browser, 30).until(presence_of_element_located(described))
    return block.text


def fetched(browser: Chrome, page: str) -> list[str]:
    """Every address that the page made the browser ask for, data: URLs left out."""
    requests = [params for method, params in network(browser) if method == "Network.requestWillBeSent"]
    # The page that a new window begins with fetches things too.
    addresses = [request["request"]["url"] for request in requests if request["documentURL"] == page]
    return [address for address in addresses if not address.startswith("data:")]


@pytest.mark.browser
async def test_page_shows_the_operations(browser: Chrome, url: str) -> None:
    """The page shows every operation, complains about nothing, and fetches everything from the service itself."""
    shown = await asyncio.to_thread(open_page, browser, f"{url}/docs")
    log = await asyncio.to_thread(complaints, browser)
    addresses = await asyncio.to_thread(fetched, browser, f"{url}/docs")

    paths = {path.replace("\u200b", "") for path in shown}
    assert "/domains/{domainID}/users" in paths
    assert paths == {route.path for route in ROUTES}
    assert len(shown) > 20
    assert log == []
    assert f"{url}/api/v1/openapi.json" in addresses
    assert {urlsplit(address).netloc for address in addresses} == {urlsplit(url).netloc}


@pytest.mark.browser
async def test_page_unfolds_an_operation(browser: Chrome, url: str) -> None:
    """An operation unfolds to its description and its parameters, without a complaint."""
    await asyncio.to_thread(open_page, browser, f"{url}/docs")
    text = await asyncio.to_thread(show_operation, browser, "patchUser")
    log = await asyncio.to_thread(complaints, browser)

    assert "Changes the fields that the request names and leaves the others" in text
    assert "X-Csrf-Token" in text
    assert log == []


async def get(url: str) -> tuple[int, Any, bytes]:
    """Status, headers and body of an answer to somebody who is not logged in."""
    async with ClientSession() as session, session.get(url) as response:
        return response.status, response.headers, await response.read()


@pytest.mark.parametrize("path", ["/docs", "/docs/start.js"])
async def test_page_allows_nothing_from_elsewhere(url: str, path: str) -> None:
    """The page and its script tell the browser to load from nowhere else and to show them in nobody's frame."""
    status, headers, _ = await get(url + path)

    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png", "favicon-16x16.png"])
async def test_files_of_the_page_are_there(url: str, name: str) -> None:
    """Each file that the page names is served."""
    _, _, page = await get(f"{url}/docs")
    status, _, body = await get(f"{url}/docs/static/{name}")

    assert f"/docs/static/{name}".encode() in page
    assert status == 200
    assert body


@pytest.mark.parametrize("path", ["/docs/static", "/docs/static/", "/docs/static/.", "/docs/static/%2e%2e/"])
async def test_directory_is_not_listed(url: str, path: str) -> None:
    """Asking for the directory of the files, or the one above, tells nothing of what is in it."""
    status, _, body = await get(url + path)

    assert status in (403, 404)
    assert b"swagger" not in body
    assert json.loads(body)["message"]


@pytest.mark.parametrize("path", ["%2e%2e/core.py", "..%2fcore.py", "%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd"])
async def test_files_beside_the_directory_stay_out_of_reach(url: str, path: str) -> None:
    """No spelling of .. leads out of the directory of the files."""
    status, _, body = await get(f"{url}/docs/static/{path}")

    assert status in (403, 404)
    assert json.loads(body)["message"]
