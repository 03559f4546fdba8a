"""A small client for tests: it has a login, and returns bodies."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import ClientSession

from postroom.app.routes import BASE
from postroom.app.web.ndjson import CONTENT_TYPE as NDJSON

#: Values of a query.
Params = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. `body` is parsed JSON (of lines: a list), or the text of anything else."""

    status: int
    headers: Mapping[str, str]
    body: Any


class RefusedError(Exception):
    """The server has answered with an error; `answer` is the whole response."""

    def __init__(self, method: str, path: str, answer: Answer) -> None:
        body = answer.body
        reasons = [body["message"], *body.get("errors", [])] if isinstance(body, dict) and "message" in body else [body]
        super().__init__(f"{method} {path}: {answer.status}, {'; '.join(map(str, reasons))}")
        self.answer = answer


class Client:
    """Calls with one login. Paths are those of the description, such as `/domains/1/users`."""

    def __init__(
        self, session: ClientSession, token: str | None = None, before: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._session = session
        self._before = before
        #: The login; None: there is none.
        self.token = token

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The response to a call, whatever its status is. `body` is sent as JSON, bytes as they are."""
        if self._before is not None:
            await self._before()
        login = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        sent: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
        async with self._session.request(
            method, BASE + path, params=params, headers={**login, **(headers or {})}, **sent
        ) as response:
            text = await response.text()
            return Answer(response.status, response.headers, _parsed(text, response.content_type))

    async def get(self, path: str, params: Params | None = None) -> Any:
        """The body of the response to a GET. Raises RefusedError."""
        return await self._call("GET", path, None, params)

    async def post(self, path: str, body: Any = None, params: Params | None = None) -> Any:
        """The same of a POST."""
        return await self._call("POST", path, body, params)

    async def put(self, path: str, body: Any = None, params: Params | None = None) -> Any:
        """The same of a PUT."""
        return await self._call("PUT", path, body, params)

    async def patch(self, path: str, body: Any = None, params: Params | None = None) -> Any:
        """The same of a PATCH."""
        return await self._call("PATCH", path, body, params)

    async def delete(self, path: str, params: Params | None = None) -> Any:
        """The same of a DELETE."""
        return await self._call("DELETE", path, None, params)

    async def _call(self, method: str, path: str, body: Any, params: Params | None) -> Any:
        answer = await self.request(method, path, body, params=params)
        if answer.status >= _FIRST_ERROR:
            raise RefusedError(method, path, answer)
        return answer.body


_FIRST_ERROR: Final = 400


def _parsed(text: str, content_type: str) -> Any:
    if content_type == NDJSON:
        return [json.loads(line) for line in text.splitlines()]
    return json.loads(text) if content_type == "application/json" and text else text
