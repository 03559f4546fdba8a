"""What handlers and services share: made once in main.py, passed around as it is."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from postroom.app.auth.passwords import Passwords
from postroom.app.auth.throttle import Throttle
from postroom.app.auth.tokens import Tokens
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
