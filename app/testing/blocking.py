"""The same for tests without asyncio: servers in one thread of the process, and calls that wait."""

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from postroom.testing.client import Answer, Client, Params
from postroom.testing.clock import Moment
from postroom.testing.seeds import Seed
from postroom.testing.server import Server, running

T = TypeVar("T")


@cache
def _loop(_process: int) -> asyncio.AbstractEventLoop:
    """The event loop of all servers of a process, on a thread that does not keep it from ending."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="postroom-testing", daemon=True).start()
    return loop


def _wait(work: Coroutine[Any, Any, T]) -> T:
    # A forked process does not have the threads of its parent.
    return asyncio.run_coroutine_threadsafe(work, _loop(os.getpid())).result()


@contextmanager
def running_in_thread(
    seed: Seed = None,
    *,
    port: int | None = 0,
    settings: Mapping[str, object] | None = None,
    clock: Moment | None = None,
    strict: bool = False,
) -> Iterator["BlockingServer"]:
    """Like running(), for tests without asyncio."""
    manager = running(seed, port=port, settings=settings, clock=clock, strict=strict)
    server = _wait(manager.__aenter__())
    try:
        yield BlockingServer(server)
    except BaseException as error:
        _wait(manager.__aexit__(type(error), error, error.__traceback__))
        raise
    _wait(manager.__aexit__(None, None, None))


class BlockingClient:
    """Like Client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def token(self) -> str | None:
        """The login; None: there is none."""
        return self._client.token

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The response to a call, whatever its status is. `body` is sent as JSON, bytes as they are."""
        return _wait(self._client.request(method, path, body, params=params, headers=headers))

    def get(self, path: str, params: Params | None = None) -> Any:
        """The body of the response to a GET. Raises RefusedError."""
        return _wait(self._client.get(path, params))

    def post(self, path: str, body: Any = None, params: Params | None = None) -> Any:
        """The same of a POST."""
        return _wait(self._client.post(path, body, params))

    def put(self, path: str, body: Any = None, params: Params | None = None) -> Any:
        """The same of a PUT."""
        return _wait(self._client.put(path, body, params))

    def patch(self, path: str, body: Any = None, params: Params | None = None) -> Any:
        """The same of a PATCH."""
        return _wait(self._client.patch(path, body, params))

    def delete(self, path: str, params: Params | None = None) -> Any:
        """The same of a DELETE."""
        return _wait(self._client.delete(path, params))


class BlockingServer:
    """Like Server; `running_in_thread()` makes it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        #: Where it listens, such as `http://127.0.0.1:40123`; the API is below `/api/v1`.
        self.url = server.url
        #: A client with the login of the administrator.
        self.admin = BlockingClient(server.admin)
        #: What it was asked.
        self.requests = server.requests
        #: What goes wrong.
        self.faults = server.faults
        #: The LDAP directory inside it.
        self.directory = server.directory
        #: Its time.
        self.clock = server.clock

    def login(self, user: str, password: str | None = None) -> BlockingClient:
        """A client with the login of a user; Server.login() says more."""
        return BlockingClient(_wait(self._server.login(user, password)))

    def reset(self) -> None:
        """Goes back to the beginning; Server.reset() says more."""
        _wait(self._server.reset())

    def snapshot(self, name: str | None = None) -> str:
        """Keeps what is stored now under a name (None: a new one), and returns the name."""
        return _wait(self._server.snapshot(name))

    def restore(self, name: str) -> None:
        """Goes back to a snapshot, whose logins are valid again. Raises HarnessError when there is none."""
        _wait(self._server.restore(name))

    def device_syncs(self, user: str, device: str, **state: Any) -> dict[str, Any]:
        """A device of a user connects, and returns what it is told; Server.device_syncs() says more."""
        return _wait(self._server.device_syncs(user, device, **state))

    def device_acknowledges_wipe(self, user: str, device: str) -> dict[str, Any]:
        """A device that is to be wiped has wiped itself; returns its wipe status. Raises HarnessError."""
        return _wait(self._server.device_acknowledges_wipe(user, device))

    def load_seed(self, seed: Seed) -> None:
        """Begins anew with another seed; Server.load_seed() says more."""
        _wait(self._server.load_seed(seed))

    def dump_seed(self) -> dict[str, Any]:
        """Everything stored now as a seed, from which another server can begin."""
        return _wait(self._server.dump_seed())
