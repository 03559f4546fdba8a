"""The settings. Only this module reads the environment; `docs/configuration.md` describes each setting."""

import grp
import ipaddress
import os
import re
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

PREFIX = "POSTROOM_"


class SettingError(Exception):
    """A setting cannot be used; the text names it and gives the reason, in one line."""


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


#: Address and port.
Server = tuple[str, int]


UTC = zoneinfo.ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Config:
    """All settings with their defaults. Each field is read from POSTROOM_<NAME>."""

    host: tuple[str, ...] = ("127.0.0.1", "::1")
    port: int = 8080
    database: str = "postroom.sqlite3"
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
    #: Most open connections in all, and from one source. None: in all what the limit of open files allows, at most
    #: 1000; from one source a tenth of that.
    max_connections: int | None = None
    max_connections_per_source: int | None = None
    #: Processes that serve the same addresses from the same database.
    workers: int = 1


def load_config(options: Mapping[str, object] | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Reads the settings from the environment; `options` (by field name, None: not given) override them.

    Raises SettingError naming the variable or option.
    """
    values: dict[str, object] = {}
    for setting in fields(Config):
        given = (options or {}).get(setting.name)
        name = f"--{setting.name.replace('_', '-')}" if given is not None else PREFIX + setting.name.upper()
        text = given if given is not None else environ.get(name)
        if text is None or (text == "" and setting.name != "database"):
            continue
        try:
            values[setting.name] = _PARSERS.get(setting.name, str)(str(text))
        except ValueError as error:
            raise SettingError(f"{name}: {error}") from None
    config = Config(**values)  # type: ignore[arg-type]
    if (config.tls_cert is None) != (config.tls_key is None):
        given, missing = ("CERT", "KEY") if config.tls_key is None else ("KEY", "CERT")
        raise SettingError(f"POSTROOM_TLS_{given} needs POSTROOM_TLS_{missing} beside it")
    return config


def _number(text: str, low: float, high: float, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not low <= number <= high:
        raise ValueError(f"{text} is not {what}")
    return number


def _whole(text: str, low: int, high: int, what: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number")
    return int(_number(text, low, high, what))


def _workers(text: str) -> int:
    return _whole(text, 1, 64, "a number of workers between 1 and 64")


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(host.strip().removeprefix("[").removesuffix("]") for host in text.split(",") if host.strip())
    if not hosts:
        raise ValueError("name at least one address to listen on")
    return hosts


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def _service_networks(text: str) -> tuple[Network, ...]:
    # An empty variable counts as not set.
    return () if text.strip().lower() == "none" else _networks(text)


def _names(text: str) -> frozenset[str]:
    names = [part.strip().lower() for part in text.split(",") if part.strip()]
    for name in names:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", name):
            raise ValueError(f"{name!r} is not a host name; write it in ASCII and without a port")
    return frozenset(names)


def _socket(text: str) -> str:
    # sun_path has 108 bytes, the last of which is NUL.
    if "\0" in text or len(os.fsencode(text)) > 107:
        raise ValueError("the path of a socket has at most 107 bytes and no NUL")
    return text


def _group(text: str) -> int:
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise ValueError(f"there is no group {text!r}") from None


def _servers(text: str) -> tuple[Server, ...]:
    return tuple(_server(part.strip()) for part in text.split(",") if part.strip())


def _server(text: str) -> Server:
    """An IP address with or without a port, IPv6 with or without brackets. A name would itself need a resolver."""
    found = re.fullmatch(r"\[(.*)\](?::(.*))?", text) or re.fullmatch(r"([^:]*)(?::([^:]*))?", text)
    host, port = found.groups() if found else (text, None)
    number = 53 if port is None else _whole(port, 1, 65535, "a port number between 1 and 65535")
    return str(ipaddress.ip_address(host)), number


def _timezone(text: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, OSError):
        raise ValueError(f"there is no time zone {text!r}; names are like Europe/Berlin") from None


def _flag(text: str) -> bool:
    lowered = text.lower()
    if lowered not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ValueError(f"{text!r} is neither true nor false")
    return lowered in ("1", "true", "yes", "on")


def _password(text: str) -> str:
    if "\0" in text or len(text) > 512:
        raise ValueError("a password has at most 512 characters and no NUL")
    return text


def _database(text: str) -> str:
    if not text:
        raise ValueError("name a file, or :memory:")
    return text


def _file(text: str) -> str:
    if not (Path(text).is_file() and os.access(text, os.R_OK)):
        raise ValueError(f"the file {text} cannot be read")
    return text


def _seconds(text: str) -> float:
    return _number(text, 0.1, 3600, "a number of seconds between 0.1 and 3600")


def _connections(text: str) -> int:
    return _whole(text, 1, 1_000_000, "a number of connections between 1 and a million")


_PARSERS = {
    "host": _hosts,
    "port": lambda text: _whole(text, 0, 65535, "a port number between 0 and 65535"),
    "database": _database,
    "tls_cert": _file,
    "tls_key": _file,
    "admin_password": _password,
    "timezone": _timezone,
    "token_lifetime": lambda text: _whole(text, 1, 10 * 366 * 24 * 3600, "a number of seconds up to ten years"),
    "password_min_length": lambda text: _whole(text, 1, 512, "a number of characters between 1 and 512"),
    "login_failures": lambda text: _whole(text, 0, 1000, "a number of failures between 0 and 1000"),
    "login_delay": lambda text: _number(text, 1, 3600, "a number of seconds between 1 and 3600"),
    "service_networks": _service_networks,
    "trusted_proxies": _networks,
    "service_hosts": _names,
    "service_socket": _socket,
    "service_socket_group": _group,
    "ldap_timeout": _seconds,
    "ldap_ca_file": _file,
    "ldap_grace": lambda text: _number(text, 0, 31 * 24 * 3600, "a number of seconds up to 31 days"),
    "ldap_orphan_share": lambda text: _number(text, 0, 100, "a share between 0 and 100 percent"),
    "dns_servers": _servers,
    "dns_external": _servers,
    "dns_timeout": lambda text: _number(text, 0.1, 60, "a number of seconds between 0.1 and 60"),
    "search_timeout": _seconds,
    "shutdown_timeout": _seconds,
    "access_log": _flag,
    "max_connections": _connections,
    "max_connections_per_source": _connections,
    "workers": _workers,
}
