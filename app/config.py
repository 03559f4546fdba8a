"""The settings. Only this module reads the environment; `docs/configuration.md` describes each setting."""

import ipaddress
import os
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import time, timedelta
from typing import Any

from postroom.app import sources
from postroom.app.parsers import PARSERS
from postroom.app.settings import Network, Server
from postroom.app.sources import PREFIX, Text


class SettingError(Exception):
    """A setting cannot be used; the text names it and gives the reason, in one line."""


UTC = zoneinfo.ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Config:
    """All settings with their defaults. Each field is read from POSTROOM_<NAME>."""

    host: tuple[str, ...] = ("127.0.0.1", "::1")
    port: int = 8080
    database: str = "postroom.sqlite3"
    #: URLs of servers that follow that of the database; searches are asked there.
    database_replicas: tuple[str, ...] = ()
    #: The file with the keys of stored secrets; None: beside the database, with its name and `.key` at the end.
    key_file: str | None = None
    #: For TLS, PEM files: the certificate with its chain, and its key; None: plain HTTP.
    tls_cert: str | None = None
    tls_key: str | None = None
    #: None: the first start generates one and shows it on the terminal or writes it to a file.
    admin_password: str | None = None
    timezone: zoneinfo.ZoneInfo = UTC
    #: Seconds.
    token_lifetime: int = 7 * 24 * 3600
    password_min_length: int = 6
    #: Failed logins of one name from one address until further ones are slowed down; 0: never.
    login_failures: int = 10
    #: The longest delay after failed logins, in seconds.
    login_delay: float = 60.0
    #: Peers that may use /service without a login.
    service_networks: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("::1"))
    #: Peers whose X-Forwarded-For says where a request comes from.
    trusted_proxies: tuple[Network, ...] = ()
    #: Allowed values of Host, besides localhost and IP addresses, for requests that only their source address admits.
    service_hosts: frozenset[str] = frozenset()
    #: A Unix socket on which /service needs no login; None: there is none.
    service_socket: str | None = None
    #: ID of the group that may also use the socket; None: only its owner may.
    service_socket_group: int | None = None
    #: A folder for the sockets that Postfix and Dovecot ask; None: there are none.
    mail_sockets: str | None = None
    #: IDs of the groups that may open those sockets; None: the group of the process.
    mail_postfix_group: int | None = None
    mail_dovecot_group: int | None = None
    #: Seconds that a directory server may take to answer.
    ldap_timeout: float = 5.0
    #: A PEM file with the CA of the directory servers; None: the system's.
    ldap_ca_file: str | None = None
    #: Seconds for which users of a directory can renew their logins while it is unreachable.
    ldap_grace: float = 3600.0
    #: Percent of the linked users that may be removed at once because their objects are gone.
    ldap_orphan_share: float = 10.0
    #: DNS resolvers (address, port); none: the system's.
    dns_servers: tuple[Server, ...] = ()
    #: DNS resolvers that show what the internet sees; none: the DNS check leaves that out.
    dns_external: tuple[Server, ...] = ()
    #: Time limit for all DNS look-ups of one domain together, in seconds.
    dns_timeout: float = 3.0
    #: Seconds that a search or a list may take.
    search_timeout: float = 5.0
    #: Seconds that requests in flight get to finish when the service stops.
    shutdown_timeout: float = 10.0
    access_log: bool = False
    #: For people (console) or for programs (json).
    log_format: str = "console"
    #: Whether there are a page for people at /, and /metrics, and from which networks the latter.
    page: bool = True
    metrics: bool = True
    metrics_networks: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("::1"))
    #: Days for which the record of changes is kept; 0: for ever.
    audit_days: int = 400
    #: Most open connections in all, and from one source. None: in all what the limit of open files allows, at most
    #: 1000; from one source a tenth of that.
    max_connections: int | None = None
    max_connections_per_source: int | None = None
    #: A folder for backups that the service takes; None: it takes none.
    backup_folder: str | None = None
    #: How often it does, or at which time of the day.
    backup_every: timedelta | time = timedelta(days=1)
    #: How many of each period are kept: unit -> number.
    backup_keep: Mapping[str, int] = field(default_factory=lambda: {"d": 7, "w": 4, "m": 12})
    #: Processes that serve the same addresses from the same database.
    workers: int = 1

    @property
    def beside(self) -> str:
        """The file that others of the service's own stand beside: the database, or of one on a server the key file."""
        return self.key_file if self.key_file is not None and "://" in self.database else self.database


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting: its value, where that comes from (default, file, environment, option), and its text if it has one."""

    name: str
    value: object
    source: str = "default"
    text: str | None = None

    def is_secret(self, text: str) -> bool:
        """Whether this text of it must not be shown."""
        return sources.is_secret(self.name, text)


@dataclass(frozen=True, slots=True)
class ReadConfig(Config):
    """Settings that were read from somewhere, with where each comes from."""

    read: tuple[Setting, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, in the order of Config, and one line for each fault. With faults, values may be defaults."""

    settings: list[Setting]
    faults: list[str]

    @property
    def config(self) -> Config:
        """The settings for the program. Raises SettingError with the first fault."""
        if self.faults:
            raise SettingError(self.faults[0])
        values: dict[str, Any] = {each.name: each.value for each in self.settings}
        return ReadConfig(**values, read=tuple(self.settings))


def forget_environment() -> None:
    """Removes the settings from the environment: they include passwords, which no other program is to be given."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]


def wants_colours(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment has nothing against colours on a terminal."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def taken_from_environment(names: Sequence[str]) -> dict[str, str]:
    """These variables, which are no settings, as far as they are set; the environment no longer has them."""
    return {name: os.environ.pop(name) for name in names if name in os.environ}


def load_config(
    options: Mapping[str, object] | None = None, environ: Mapping[str, str] = os.environ, file: str | None = None
) -> Config:
    """Reads the settings: options (by field name, None: not given) take precedence over the environment, and that over
    the settings file (None: there is none).

    Raises SettingError naming the option, the variable, or the line of the file.
    """
    return read_settings(options, environ, file).config


def settings_file(given: str | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The file to read: the given one, that of POSTROOM_CONFIG, or the usual one if there is one."""
    return sources.file_of(given, environ)


def read_settings(
    options: Mapping[str, object] | None = None, environ: Mapping[str, str] = os.environ, file: str | None = None
) -> Settings:
    """The same with the source of each setting and all faults, for `postroom config check`."""
    found = sources.merged(
        sources.of_file(file, _KINDS) if file is not None else sources.Texts(),
        sources.of_environment(environ, _KINDS),
        sources.of_options(options or {}),
    )
    faults = found.faults
    read = Settings([_parsed(name, found.texts.get(name), faults) for name in Config.__dataclass_fields__], faults)
    if not faults:
        faults += _contradictions(read.config)
    return read


def _parsed(name: str, given: Text | None, faults: list[str]) -> Setting:
    if given is None:
        return Setting(name, getattr(_DEFAULTS, name))
    try:
        return Setting(name, PARSERS.get(name, str)(given.text), given.source, given.text)
    except ValueError as error:
        faults.append(f"{given.label}: {error}")
        return Setting(name, getattr(_DEFAULTS, name), given.source, given.text)


def _contradictions(config: Config) -> Iterator[str]:
    """What settings that are valid alone cannot be together."""
    if config.database_replicas and "://" not in config.database:
        yield "POSTROOM_DATABASE_REPLICAS: only a PostgreSQL database has replicas"
    if "://" in config.database and config.key_file is None:
        yield "POSTROOM_DATABASE names a server, so POSTROOM_KEY_FILE has to name the file with the keys"
    if config.backup_folder is not None and config.database == ":memory:":
        yield "POSTROOM_BACKUP_FOLDER: a database in memory cannot be backed up"
    if config.mail_sockets is not None and config.database == ":memory:":
        yield "POSTROOM_MAIL_SOCKETS: a database in memory has one process, and mail needs one that keeps the sockets"
    if (config.tls_cert is None) != (config.tls_key is None):
        given, missing = ("CERT", "KEY") if config.tls_key is None else ("KEY", "CERT")
        yield f"POSTROOM_TLS_{given} needs POSTROOM_TLS_{missing} beside it"


def list_unknown(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The names in the environment that look like settings and are none."""
    known = {PREFIX + name.upper() for name in _KINDS} | {sources.FILE_VARIABLE, *_OF_COMMANDS}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


_DEFAULTS = Config()
#: Variables that are no settings: where `postroom user` and the like work.
_OF_COMMANDS = ("POSTROOM_URL", "POSTROOM_TOKEN")
#: Setting -> its type; POSTROOM_DATABASE_FILE is another way to give one.
_KINDS: Mapping[str, object] = {**{each.name: each.type for each in fields(Config)}, "database_file": str}
