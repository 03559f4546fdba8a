"""Opens sessions with PostgreSQL."""

import re
from functools import lru_cache
from typing import Any, Final, Literal

import psycopg
from psycopg import conninfo
from psycopg.adapt import Dumper, Loader
from psycopg.types.numeric import Int8Dumper

from postroom.storage.faults import DatabaseError, WrongDatabaseError
from postroom.storage.keyring import Keyring
from postroom.storage.postgresql.connection import Connection
from postroom.storage.urls import shown

#: The oldest server that is tested for: it has the last of what the schema needs.
OLDEST: Final = 14
#: Seconds to wait for a connection; to wait for the lock of those who write; for a statement; for the next statement of
#: a transaction. Beyond these, something is wrong elsewhere, and whoever asks is told so.
CONNECT_TIMEOUT: Final = 3
LOCK_TIMEOUT: Final = 15
STATEMENT_TIMEOUT: Final = 60
IDLE_TIMEOUT: Final = 60

_NO_URL: Final = "is no URL of a PostgreSQL database: postgresql://user:password@host/name"


#: What a session is for.
Kind = Literal["writer", "by key", "searches", "replica"]


class _BoolDumper(Int8Dumper):
    """Flags are numbers here, as in SQLite."""

    def dump(self, obj: Any) -> Any:
        return super().dump(int(obj))


class _StrDumper(Dumper):
    """Text without a type, so that the server takes that of its place."""

    def dump(self, obj: str) -> bytes:
        if "\x00" in obj:
            raise psycopg.DataError("PostgreSQL stores no NUL")
        return obj.encode()


class _BytesLoader(Loader):
    """Documents go out as they come."""

    def load(self, data: Any) -> bytes:
        return bytes(data)


class _TextLoader(Loader):
    """JSON is read by whoever needs it."""

    def load(self, data: Any) -> str:
        return bytes(data).decode()


class _NumberLoader(Loader):
    """Sums of numbers are numeric."""

    def load(self, data: Any) -> int | float:
        text = bytes(data).decode()
        return float(text) if "." in text else int(text)


@lru_cache(maxsize=4)
def _parameters(url: str) -> dict[str, Any]:
    """The parameters of a connection: those of the URL, and ours where it has none. Raises WrongDatabaseError."""
    try:
        given = conninfo.conninfo_to_dict(url)
    except (psycopg.Error, UnicodeError):
        raise WrongDatabaseError(f"POSTROOM_DATABASE {_NO_URL}") from None
    ports = [port for port in str(given.get("port", "")).split(",") if port]
    if not all(re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536 for port in ports):
        raise WrongDatabaseError(f"POSTROOM_DATABASE {_NO_URL}")
    limits = {
        "lock_timeout": LOCK_TIMEOUT,
        "statement_timeout": STATEMENT_TIMEOUT,
        "idle_in_transaction_session_timeout": IDLE_TIMEOUT,
    }
    options = [
        str(given.get("options", "")),
        "-c jit=off",
        *(f"-c {name}={seconds}s" for name, seconds in limits.items()),
    ]
    return {
        "connect_timeout": CONNECT_TIMEOUT,
        "application_name": "postroom",
        # Of several hosts, the one that takes writes; of one, none that only reads.
        "target_session_attrs": "read-write",
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        "client_encoding": "UTF8",
        **given,
        "options": " ".join(options).strip(),
    }


def connect(url: str, keyring: Keyring, *, kind: Kind = "writer") -> Connection:
    """A session. Raises DatabaseError when there is no way to the server now, WrongDatabaseError for what stays."""
    parameters = _parameters(url)
    if kind == "replica":
        parameters = {**parameters, "target_session_attrs": "any"}
    try:
        raw = psycopg.connect(**parameters, autocommit=True, cursor_factory=psycopg.RawCursor, prepare_threshold=0)
    except psycopg.Error as error:
        raise _refused(url, error) from None
    raw.prepared_max = 500
    for python, dumper in ((int, Int8Dumper), (bool, _BoolDumper), (str, _StrDumper)):
        raw.adapters.register_dumper(python, dumper)
    for name, loader in (("varchar", _BytesLoader), ("json", _TextLoader), ("jsonb", _TextLoader)):
        raw.adapters.register_loader(name, loader)
    raw.adapters.register_loader("numeric", _NumberLoader)
    settings = [_DURABLE]
    if kind in ("writer", "by key"):
        # Such statements find what they need by key, so that one plan is right for all values.
        settings.append("SET plan_cache_mode = force_generic_plan")
    if kind != "writer":
        settings.append("SET default_transaction_read_only = on")
    # On a replica, which is refused elsewhere with a reason, no table can be made.
    if kind == "writer" and raw.info.parameter_status("in_hot_standby") != "on":
        settings.append(_CHANGES)
    here = {"host": raw.info.host, "hostaddr": raw.info.hostaddr or None, "port": raw.info.port}
    return Connection(raw, keyring, settings, {**parameters, **here, "target_session_attrs": "any"})


#: Where the triggers note what this session changes: see storage/audit/capture.py.
_CHANGES: Final = """
    CREATE TEMP TABLE IF NOT EXISTS audit_changes (
        seq     bigint GENERATED ALWAYS AS IDENTITY,
        job     bigint NOT NULL DEFAULT coalesce(nullif(current_setting('postroom.job', true), ''), '0')::bigint,
        place   text COLLATE "C" NOT NULL,
        kind    text COLLATE "C" NOT NULL,
        object_id bigint NOT NULL,
        entry   text COLLATE "C" NOT NULL,
        action  text COLLATE "C" NOT NULL,
        changes text COLLATE "C" NOT NULL
    ) ON COMMIT DELETE ROWS
"""

#: What is acknowledged is on disk, whatever the server's usual setting.
_DURABLE: Final = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') IN ('off', 'local')"
)


def answers(connection: Connection) -> bool:
    """Whether the server of this connection answers to another one, if only by refusing it."""
    try:
        psycopg.connect(**connection.server, autocommit=True).close()
    except psycopg.Error as error:
        return "FATAL" in str(error)
    return True


#: What libpq says -> what to say of it, for good; the rest may pass.
_REASONS: Final = (
    (re.compile(r'database ".*" does not exist'), "there is no such database; create it with createdb"),
    (re.compile(r'password authentication failed|no password supplied'), "the server refuses this user or password"),
    (re.compile(r'role ".*" does not exist'), "the server does not know this user"),
    (re.compile(r"no pg_hba.conf entry"), "the server lets nobody in from here as this user (pg_hba.conf)"),
    (re.compile(r"permission denied for database"), "this user may not use the database"),
    (re.compile(r'invalid .*value(:| ".*" for connection option)'), "a parameter of the URL has a value that is none"),
)  # fmt: skip
_READ_ONLY: Final = re.compile(r"session is read-only|server is in hot standby mode")


def _refused(url: str, error: psycopg.Error) -> DatabaseError:
    text = str(error)
    for pattern, reason in _REASONS:
        if pattern.search(text):
            return WrongDatabaseError(f"Cannot open the database {shown(url)}: {reason}")
    if _READ_ONLY.search(text):
        reason = (
            "none of its servers takes writes"
            if "," in shown(url)
            else "the server is a replica, which can only be read"
        )
        return DatabaseError(f"Cannot open the database {shown(url)}: {reason}")
    lines = [line.strip() for line in text.splitlines() if line.strip() and "Is the server running" not in line]
    return DatabaseError(f"Cannot open the database {shown(url)}: {lines[-1] if lines else 'no reason given'}")
