"""What handlers and services share. main.py makes it once."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from postroom.app.auth.passwords import Passwords
from postroom.app.auth.throttle import Throttle
from postroom.app.auth.tokens import Tokens
from postroom.app.clock import Clock, time_text
from postroom.app.config import Config
from postroom.app.metrics.catalogue import Metrics
from postroom.storage.database import Database

if TYPE_CHECKING:
    from postroom.app.services.backups import Backups
    from postroom.app.services.directories import Directories
    from postroom.app.services.dns_check import DnsCheck
    from postroom.app.services.machine import Machine
    from postroom.app.services.presence import Presence
    from postroom.app.services.tasks import Tasks
    from postroom.app.services.units import Units


def time_in(timezone: tzinfo, seconds: int) -> str:
    """A UNIX time in a time zone, in the format of the API."""
    return time_text(datetime.fromtimestamp(seconds, timezone))


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of a running service."""

    config: Config
    clock: Clock
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
    backups: "Backups"
    metrics: Metrics

    def now(self) -> str:
        """The current time in the configured time zone, in the format of the API."""
        return self.clock.text(self.config.timezone)
