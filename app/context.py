"""What handlers and services share: made once in main.py, passed around as it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from postroom.app.auth.passwords import Passwords
from postroom.app.auth.throttle import Throttle
from postroom.app.auth.tokens import Caller, Tokens
from postroom.app.config import Config
from postroom.storage.database import Database

if TYPE_CHECKING:
    from postroom.app.services.directories import Directories
    from postroom.app.services.dns_check import DnsCheck
    from postroom.app.services.machine import Machine
    from postroom.app.services.presence import Presence
    from postroom.app.services.tasks import Tasks
    from postroom.app.services.units import Units


def now_in(timezone: tzinfo) -> str:
    """This moment in a time zone, as the API writes times."""
    return datetime.now(timezone).strftime("%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of a running service."""

    config: Config
    database: Database
    tokens: Tokens
    passwords: Passwords
    throttle: Throttle
    directories: "Directories"
    tasks: "Tasks"
    machine: "Machine"
    units: "Units"
    dns: "DnsCheck"
    presence: "Presence"

    def now(self) -> str:
        """This moment in the configured time zone, as the API writes times."""
        return now_in(self.config.timezone)


CONTEXT: Final = web.AppKey("context", Context)

#: Set before a handler runs.
CALLER: Final = web.RequestKey("caller", Caller)
QUERY: Final = web.RequestKey[Any]("query", object)
BODY: Final = web.RequestKey[Any]("body", Mapping)

#: Set on a request that may take longer than others (see Limits), and on one that has taken too long.
UNHURRIED: Final = web.RequestKey("unhurried", bool)
OVERDUE: Final = web.RequestKey("overdue", bool)


def context_of(request: web.Request) -> Context:
    """The service that a request came to."""
    return request.app[CONTEXT]
