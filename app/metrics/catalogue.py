"""All metrics of the service. docs/monitoring.md has a table that is made from this file."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, NamedTuple

from postroom.app.errors import ThrottledError, UnauthenticatedError
from postroom.app.metrics.cells import Names, Place
from postroom.app.metrics.instruments import Counter, Gauge, Histogram, Instrument

#: In seconds.
_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Every status of a response. 0: the connection was cut off before its end.
_STATUSES: Final = (0, *(int(status) for status in HTTPStatus if status >= 200))
_PLACES: Final = {status: number for number, status in enumerate(_STATUSES)}
#: Requests that reach no route, because they are not HTTP or too slow.
INVALID: Final = "invalid"
#: What is done again and again.
ROUNDS: Final = ("watch", "uses", "expired", "audit", "backups", "sample", "devices")
#: What mail servers ask, and what becomes of it.
MAIL_QUESTIONS: Final = (
    "postfix_domains", "postfix_mailboxes", "postfix_aliases", "postfix_senders", "postfix_unknown",
    "dovecot_login", "dovecot_user", "dovecot_users", "dovecot_dict", "dovecot_unknown",
)  # fmt: skip
MAIL_OUTCOMES: Final = ("found", "not_found", "ok", "unknown", "mismatch", "temporary", "refused")
#: Most servers of directories that are told apart.
_MOST_SERVERS: Final = 64


class Reading(NamedTuple):
    """A metric that is read when somebody asks for it."""

    name: str
    about: str
    labels: tuple[str, ...] = ()
    kind: str = "gauge"


#: From the database.
UP: Final = Reading("postroom_database_up", "Whether the database answers. If not, what is read from it is missing.")
USERS: Final = Reading(
    "postroom_users", "Users: active, inactive (such as suspended), virtual (such as contacts).", ("status",)
)
DOMAINS: Final = Reading("postroom_domains", "Domains: active, suspended, out-of-date, deleted.", ("status",))
TASKS: Final = Reading("postroom_tasks", "Tasks; of those that have ended, the last 100.", ("state",))
BACKUP_TIME: Final = Reading(
    "postroom_backup_timestamp_seconds", "UNIX time of the newest scheduled backup; missing while there is none."
)
BACKUP_SIZE: Final = Reading("postroom_backup_size_bytes", "Size of the newest scheduled backup.")
BACKUP_FAILED: Final = Reading(
    "postroom_backup_failed", "Whether the last attempt at a scheduled backup failed; missing without a schedule."
)
SCHEMA: Final = Reading("postroom_schema_version", "Version of the database schema that this postroom works with.")
BUILD: Final = Reading("postroom_build_info", "Always 1; the labels say what runs.", ("version", "engine", "python"))
#: From the system, for each worker.
PROCESS: Final = (
    Reading("process_cpu_seconds_total", "Seconds of CPU that a worker has used.", ("worker",), "counter"),
    Reading("process_resident_memory_bytes", "Memory of a worker.", ("worker",)),
    Reading("process_virtual_memory_bytes", "Address space of a worker.", ("worker",)),
    Reading("process_open_fds", "Open files and connections of a worker.", ("worker",)),
    Reading("process_max_fds", "Most open files that a worker may have.", ("worker",)),
    Reading("process_start_time_seconds", "UNIX time at which a worker was started.", ("worker",)),
)
READINGS: Final = (UP, USERS, DOMAINS, TASKS, BACKUP_TIME, BACKUP_SIZE, BACKUP_FAILED, SCHEMA, BUILD, *PROCESS)


class Metrics:
    """What the workers of a service count. `operations` are the values of that label, whatever anybody asks for."""

    def __init__(self, operations: Sequence[str] = (), workers: int = 1) -> None:
        place = self.place = Place(workers)
        servers = self._servers = Names(place, _MOST_SERVERS)
        self.requests = Counter(
            place, "postroom_requests_total", "Requests by operation and status of the response; 0: cut off.",
            {"operation": (*operations, INVALID), "status": _STATUSES}, sparse=True,
        )  # fmt: skip
        self.durations = Histogram(
            place, "postroom_request_duration_seconds", "From the head of a request to its response.", _BOUNDS,
            {"operation": operations}, sparse=True,
        )  # fmt: skip
        self.in_flight = Gauge(place, "postroom_requests_in_flight", "Requests without a response yet.")
        self.connections = Gauge(place, "postroom_connections", "Open connections of clients.")
        self.refused = Counter(
            place,
            "postroom_connections_refused_total",
            "Connections that were turned away: too many.",
        )
        self.write_queue = Gauge(place, "postroom_write_queue", "Writes that wait for the writer.")
        self.batches = Histogram(
            place, "postroom_write_batch_size", "Writes that shared a transaction.", (1, 2, 4, 8, 16, 32, 64, 128)
        )
        self.commits = Histogram(place, "postroom_commit_duration_seconds", "How long commits took.", _BOUNDS)
        self.logins = Counter(
            place, "postroom_logins_total",
            "Passwords and tokens for programs that were checked; throttled: refused without a check.",
            {"by": ("password", "token"), "outcome": ("ok", "failed", "throttled", "unavailable")},
        )  # fmt: skip
        self.directory = Counter(
            place, "postroom_ldap_requests_total",
            "Connections to servers of directories, and requests over them; a listing of all users is one.",
            {"server": servers, "step": ("connect", "request"), "outcome": ("ok", "refused", "away", "fault")},
            sparse=True,
        )  # fmt: skip
        self.directory_durations = Histogram(
            place, "postroom_ldap_request_duration_seconds", "How long these took.", _BOUNDS,
            {"server": servers, "step": ("connect", "request")}, sparse=True,
        )  # fmt: skip
        self.mail = Counter(
            place, "postroom_mail_questions_total",
            "Questions of mail servers; refused: they were none that postroom knows.",
            {"question": MAIL_QUESTIONS, "outcome": MAIL_OUTCOMES}, sparse=True,
        )  # fmt: skip
        self.devices = Gauge(
            place, "postroom_devices", "Devices by state, counted every few minutes.",
            {"state": ("normal", "wipe-pending", "wipe-requested", "wiped")},
        )  # fmt: skip
        self.rounds = Counter(
            place, "postroom_rounds_total", "Rounds of what is done again and again, by how they have ended.",
            {"round": ROUNDS, "outcome": ("ok", "unavailable", "failed")},
        )  # fmt: skip
        self.workers = Gauge(place, "postroom_workers", "Workers that run.")
        self.ended = Counter(place, "postroom_workers_ended_total", "Workers that died; others took their places.")
        #: The process of each worker.
        self.processes = Gauge(place, "", "", {"worker": range(workers)}, sparse=True)

    @property
    def shown(self) -> list[Instrument]:
        """All of them, in the order in which they are shown."""
        return [each for each in vars(self).values() if isinstance(each, Instrument) and each.name]

    def begin(self, worker: int, pid: int) -> None:
        """From now on this process is that worker."""
        self.place.worker = worker
        self.workers.set(to=1)
        self.processes.set(worker, to=pid)

    def forget(self, worker: int) -> None:
        """A worker has ended: what it has counted stays, what it was doing does not."""
        for gauge in (self.in_flight, self.connections, self.write_queue, self.workers, self.processes):
            gauge.clear(worker)

    def sample(self) -> None:
        """Looks at what is not counted as it happens."""
        for gauge in (self.in_flight, self.connections, self.write_queue):
            gauge.sample()

    def counting(self, operation: str) -> Callable[[int, float], None]:
        """Counts the requests of this worker for an operation; call it with the status and the seconds of each.

        It runs for every request, so everything is looked up beforehand.
        """
        statuses = self.requests.cells_from(operation, _STATUSES[0])
        durations = self.durations.cells_from(operation)
        bounds, total = _BOUNDS, len(_BOUNDS) + 1

        def count(status: int, seconds: float) -> None:
            statuses[_PLACES[status]] += 1.0
            durations[bisect_left(bounds, seconds)] += 1.0
            durations[total] += seconds

        return count

    @contextmanager
    def login(self, by: str) -> Iterator[None]:
        """Counts the block by how it ends; one whose client has gone is not counted."""
        outcome = "ok"
        try:
            yield
        except asyncio.CancelledError:
            outcome = ""
            raise
        except ThrottledError:
            outcome = "throttled"
            raise
        except UnauthenticatedError:
            outcome = "failed"
            raise
        except BaseException:
            outcome = "unavailable"
            raise
        finally:
            if outcome:
                self.logins.add(by, outcome)

    def note_write(self, writes: int, seconds: float) -> None:
        """A transaction of so many writes, whose commit took so long."""
        self.batches.observe(what=writes)
        self.commits.observe(what=seconds)

    def note_directory(self, server: str, step: str, outcome: str, seconds: float) -> None:
        """A request to a server of a directory."""
        number = self._servers.number_of(server)
        self.directory.add(number, step, outcome)
        self.directory_durations.observe(number, step, what=seconds)
