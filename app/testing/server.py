"""A server in the event loop of the test."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from aiohttp import ClientSession, DummyCookieJar, hdrs, web

from postroom.app.auth.throttle import LoginSource
from postroom.app.auth.tokens import ADMIN_ID, may_log_in
from postroom.app.config import Config
from postroom.app.main import make_app
from postroom.app.server.runner import make_runner
from postroom.app.services import seeds, sessions
from postroom.app.services.context import Context
from postroom.app.web.keys import CURRENT, METRICS, Current
from postroom.app.web.routing import Route
from postroom.app.wiring import assembled
from postroom.schemas.addresses import stored_form
from postroom.storage import auth
from postroom.storage.auth import Account
from postroom.storage.ephemeral import Image, image_of
from postroom.testing import devices
from postroom.testing.client import Client
from postroom.testing.clock import Moment, MovableClock
from postroom.testing.directory import MemoryDirectory
from postroom.testing.errors import HarnessError, no_snapshot
from postroom.testing.faults import Faults
from postroom.testing.images import beginning
from postroom.testing.journal import Journal
from postroom.testing.listening import OnLoopback, Place, on_a_file
from postroom.testing.outages import with_outages
from postroom.testing.passwords import CheapPasswords
from postroom.testing.seeds import ReadSeed, Seed
from postroom.testing.settings import settings_of
from postroom.testing.striking import AGENT, Striking

#: Seconds that requests get when a server ends.
_CUT_OFF: Final = 0.1


@asynccontextmanager
async def running(
    seed: Seed = None,
    *,
    port: int | None = 0,
    settings: Mapping[str, object] | None = None,
    clock: Moment | None = None,
    strict: bool = False,
) -> AsyncIterator["Server"]:
    """A server with a store of its own in memory, for as long as the block runs.

    `seed`: what the store begins with, as a dict or as the path of a YAML or JSON file. `port`: on 127.0.0.1; 0 takes a
    free one. With None it takes no port, and only `client()` reaches it. `settings`: as in docs/configuration.md,
    without POSTROOM_ and in lower case. `clock`: the moment at which its clock stands still; None: it runs like that of
    the machine. `strict`: at the end of the block, raises AssertionError when the description of the API does not allow
    a request or a response. Raises HarnessError, SeedError.
    """
    config = settings_of(settings)
    moving = MovableClock(config.timezone, clock)
    image = await beginning(config, ReadSeed(seed), moving)
    async with AsyncExitStack() as stack:
        server = Server(config, image, moving, strict=strict)
        stack.push_async_callback(server.close)
        await server.start(OnLoopback(port) if port is not None else stack.enter_context(on_a_file()))
        yield server
        if strict:
            server.requests.assert_valid()


class Server:
    """A server of a test; `running()` makes it."""

    def __init__(
        self, config: Config, image: Image, clock: MovableClock, *, strict: bool = False, beside: Sequence[Route] = ()
    ) -> None:
        self._config = config
        self._images = {_SEED: image}
        self._names = (f"snapshot {number}" for number in itertools.count(1))
        self._app = make_app(config, beside=beside)
        self._app[SERVER] = self
        #: An LDAP directory, with whom may log in by it and be imported.
        self.directory = MemoryDirectory()
        #: The time by which logins and out of office end, and with which everything is stamped.
        self.clock = clock
        #: What it was asked.
        self.requests = Journal(clock, strict=strict)
        #: What goes wrong on purpose.
        self.faults = Faults()
        Striking(self.faults, self.requests).add_to(self._app)
        self._runner = make_runner(self._app, _CUT_OFF)
        #: The parts that serve now.
        self._parts = AsyncExitStack()
        self._changing = asyncio.Lock()
        #: What has to end when the server does.
        self._open = AsyncExitStack()
        #: Where it listens, such as `http://127.0.0.1:40123`; the API is below `/api/v1`.
        self.url = ""
        self._place: Place
        #: The session of all clients with a login; it keeps no cookies.
        self._session: ClientSession
        #: A client with the login of the administrator, whatever the time is; and since when it has this one.
        self.admin: Client
        self._logged_in = 0.0

    async def start(self, place: Place) -> None:
        """Begins to listen there. Raises HarnessError when the port is taken."""
        self._place = place
        self._open.push_async_callback(self._close_parts)
        self._app[CURRENT] = Current(await self._assemble(self._images[_SEED]))
        self._open.push_async_callback(self._runner.cleanup)
        await self._runner.setup()
        self.url = await place.listen(self._runner)
        self._session = await self._open.enter_async_context(self.client(keep_cookies=False, agent=AGENT))
        self.admin = Client(self._session, before=self._keep_logged_in)
        await self._log_in_admin()

    async def close(self) -> None:
        """Stops listening, and forgets everything."""
        await self._open.aclose()

    async def _close_parts(self) -> None:
        await self._parts.aclose()

    @property
    def context(self) -> Context:
        """The parts that serve now; not a public interface."""
        return self._app[CURRENT].context

    def client(self, *, keep_cookies: bool = True, agent: str | None = None) -> ClientSession:
        """A new session without a login, which begins each URL with `url`; the caller closes it."""
        headers = {hdrs.USER_AGENT: agent} if agent else None
        jar = None if keep_cookies else DummyCookieJar()
        return ClientSession(self.url, connector=self._place.connector(), cookie_jar=jar, headers=headers)

    async def login(self, user: str, password: str | None = None) -> Client:
        """A client with the login of a user, by username or alias. Without a password none is asked for.

        Raises HarnessError when there is no such user, or when they may not log in.
        """
        if password is not None:
            answer = await Client(self._session).post("/login", {"user": user, "pass": password})
            return Client(self._session, answer["grommunioAuthJwt"])
        account = await auth.select_login(self.context.database, stored_form(user))
        if account is None:
            raise HarnessError(f"There is no user {user!r}")
        if not may_log_in(account):
            raise HarnessError(f"{user} may not log in: only active users with a role may. Give them one")
        return Client(self._session, await self._token_of(account))

    async def reset(self) -> None:
        """Goes back to the beginning: everything stored or asked since then is gone, and all logins have ended.
        The clock goes as at the beginning, and no fault is armed.

        Connections stay open. Requests and tasks that are still under way find a closed database.
        """
        self.clock.reset()
        self.directory.reset()
        self.faults.clear()
        await self._go_back(_SEED)
        self.requests.clear()

    async def snapshot(self, name: str | None = None) -> str:
        """Keeps what is stored now under a name (None: a new one), and returns the name."""
        name = name or next(self._names)
        if name == _SEED:
            raise HarnessError(f"The name {_SEED!r} is that of the beginning; choose another")
        if len(self._images) > _MOST_SNAPSHOTS and name not in self._images:
            raise HarnessError(f"There are {_MOST_SNAPSHOTS} snapshots already; use one of their names again")
        self._images[name] = await self.context.database.read(image_of)
        self.directory.keep(name)
        return name

    async def restore(self, name: str) -> None:
        """Goes back to a snapshot, whose logins are valid again. Raises HarnessError when there is none."""
        if name not in self._images or name == _SEED:
            raise no_snapshot(name, [each for each in self._images if each != _SEED])
        self.directory.go_back(name)
        await self._go_back(name)

    async def device_syncs(self, user: str, device: str, **state: Any) -> dict[str, Any]:
        """A device of a user connects. `state` has any fields of a device in GET sync, such as `asversion="16.1"`.

        It synchronises, from the beginning if that was requested; one that is to be wiped is told so instead. Returns
        what it is told: `resync`, and its wipe status as `status`. Raises HarnessError.
        """
        return await devices.sync(self.context, {**state, "user": user, "device": device})

    async def device_acknowledges_wipe(self, user: str, device: str) -> dict[str, Any]:
        """A device that is to be wiped has wiped itself; returns its wipe status as `status`.

        Raises HarnessError when there is no such device, or no wipe of it.
        """
        return await devices.acknowledge_wipe(self.context, {"user": user, "device": device})

    async def dump_seed(self) -> dict[str, Any]:
        """Everything stored now as a seed, from which another server can begin."""
        return await seeds.dump(self.context, secrets=True)

    async def load_seed(self, seed: Seed) -> None:
        """Begins anew with another seed, to which reset() goes back from then on. Raises SeedError."""
        self._images[_SEED] = await beginning(self._config, ReadSeed(seed), self.clock.anew())
        await self.reset()

    async def _go_back(self, name: str) -> None:
        async with self._changing:
            before = self._parts
            self._parts = AsyncExitStack()
            self._app[CURRENT].context = await self._assemble(self._images[name])
            await before.aclose()
            await self._log_in_admin()

    async def _assemble(self, image: Image) -> Context:
        database = image.opened(self._config.search_timeout)
        ask = with_outages(self.directory.open)
        parts = self._config, database, CheapPasswords(), self.clock
        context = await self._parts.enter_async_context(
            assembled(*parts, metrics=self._app[METRICS], open_directory=ask)
        )
        # A snapshot may have been made in the middle of a task.
        await context.tasks.recover()
        return context

    async def _keep_logged_in(self) -> None:
        """Logs the administrator in again after the clock has been turned over the end of the login."""
        if not self._logged_in <= self.clock.now() < self._logged_in + self._config.token_lifetime:
            await self._log_in_admin()

    async def _log_in_admin(self) -> None:
        self._logged_in = self.clock.now()
        account = await auth.select_account(self.context.database, ADMIN_ID)
        if account is None:  # pragma: no cover - nobody can delete the administrator
            raise HarnessError("There is no administrator")
        self.admin.token = await self._token_of(account)

    async def _token_of(self, account: Account) -> str:
        return (await sessions.begin(self.context, account, _SOURCE, "postroom.testing"))["grommunioAuthJwt"]


#: Each is a whole store.
_MOST_SNAPSHOTS: Final = 100
#: Where logins without a password come from.
_SOURCE: Final = LoginSource(bytes([127, 0, 0, 1]), "127.0.0.1", shared=True)
#: The name of the image at the beginning.
_SEED: Final = "the beginning"
#: The server that an application belongs to, for rows beside those of the API.
SERVER: Final = web.AppKey("server", Server)
