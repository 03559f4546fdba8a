"""Bulk requests: sends lines, and checks every line of the response."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from aiohttp import ClientResponse

from tests.support.description import own
from tests.support.service import NDJSON, Answer, Api, assert_failure


@dataclass
class BulkAnswer:
    """The parts of a response that has its last line."""

    task_id: int
    results: list[dict[str, Any]]
    end: dict[str, Any]

    @property
    def statuses(self) -> list[int]:
        """The status of each line."""
        return [each["status"] for each in self.results]


async def bulk(api: Api, domain: int, lines: Iterable[Any] | bytes, query: str = "", **options: Any) -> BulkAnswer:
    """Sends documents, or bytes as they are; the response must be a 200."""
    url = f"{api.service.url}/api/v1/domains/{domain}/users/bulk{query}"
    headers = {**api.headers, "Content-Type": NDJSON, **options.pop("headers", {})}
    data = BytesIO(lines if isinstance(lines, bytes) else text_of(lines))
    async with api.service.session.post(url, data=data, headers=headers, **options) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == NDJSON
        assert response.headers["Cache-Control"] == "no-store"
        return parse(await response.read())


def text_of(lines: Iterable[Any]) -> bytes:
    """Documents as lines."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def parse(received: bytes) -> BulkAnswer:
    """The response, each line of which must be as described."""
    documents = [json.loads(line) for line in received.splitlines()]
    validator = own().validator({"$ref": "#/components/schemas/BulkResult"}, "answer")
    for document in documents:
        assert not [*validator.iter_errors(document)], document
        if document.get("status", 200) >= 400:
            shape = {name: document[name] for name in ("message", "errors", "error", "requestID") if name in document}
            assert_failure(Answer(document["status"], {}, shape))
    first, *results, end = documents
    assert list(first) == ["taskID"]
    assert "line" not in end
    assert end["lines"] >= len(results) == sum(end["done"].values()) + end["refused"]
    return BulkAnswer(first["taskID"], results, end)


class Conversation:
    """A bulk request that is sent line by line, while its results are read."""

    def __init__(self, api: Api, domain: int, query: str) -> None:
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        url = f"{api.service.url}/api/v1/domains/{domain}/users/bulk{query}"
        headers = {**api.headers, "Content-Type": NDJSON}
        self._post = api.service.session.post(url, data=self._body(), headers=headers)
        self._response: ClientResponse | None = None

    async def _body(self) -> AsyncIterator[bytes]:
        while (part := await self._parts.get()) is not None:
            yield part

    def say(self, *lines: Any) -> None:
        """Sends documents, or bytes as they are."""
        for line in lines:
            self._parts.put_nowait(line if isinstance(line, bytes) else text_of([line]))

    def finish(self) -> None:
        """Ends the body."""
        self._parts.put_nowait(None)

    async def hear(self) -> Any:
        """The next line of the response; None at the end."""
        if self._response is None:
            self._response = await self._post
            assert self._response.status == 200, await self._response.text()
        line = await self._response.content.readline()
        return json.loads(line) if line else None

    def hang_up(self) -> None:
        """Breaks the connection, or ends it when all is read."""
        if self._response is not None:
            self._response.close()
