"""The files of the page: what is served, what is not, and how browsers are told to treat it."""

import asyncio
import gzip
from pathlib import Path

import pytest

from tests.conftest import StartService
from tests.support.service import Service

FILES = sorted((Path(__file__).parents[3] / "app" / "page").iterdir())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
async def test_each_file(service: Service, file: Path) -> None:
    """It is served as it is, compressed for who can read that, and not again to who has it."""
    content = await asyncio.to_thread(file.read_bytes)
    url = f"{service.url}/page/{file.name}"
    async with service.session.get(url) as response:
        assert (response.status, await response.read()) == (200, content)
        assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        etag = response.headers["ETag"]
    async with service.session.get(url, headers={"If-None-Match": etag}) as response:
        assert (response.status, await response.read()) == (304, b"")
    async with service.session.get(url, headers={"Accept-Encoding": "identity"}) as response:
        assert ("Content-Encoding" in response.headers, await response.read()) == (False, content)


async def test_the_document(service: Service) -> None:
    """It is at /, and names only files that are there."""
    async with service.session.get(f"{service.url}/", auto_decompress=False) as response:
        assert response.content_type == "text/html"
        text = gzip.decompress(await response.read()).decode()
    names = {part.split('"')[0] for part in text.split('"page/')[1:]}
    assert names == {"icon.svg", "main.js", "page.css"}


@pytest.mark.parametrize("name", ["nothing.js", "%2e%2e%2fconfig.py", "..%2f..%2fetc%2fpasswd", "%00", "index.html%20"])
async def test_no_other_file(service: Service, name: str) -> None:
    """There is nothing else, whatever the name is."""
    async with service.session.get(f"{service.url}/page/{name}") as response:
        assert response.status in (400, 404)
        assert (await response.json())["message"]


async def test_turned_off(start_service: StartService) -> None:
    """Then nothing of it is there, as if there had never been a page."""
    service = await start_service(page=False)
    for path in ("/", "/page/main.js"):
        async with service.session.get(f"{service.url}{path}") as response:
            assert (response.status, await response.json()) == (404, {"message": f"There is nothing at {path}"})
