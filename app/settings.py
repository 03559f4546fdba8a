"""What the text of a setting may be, and what it means. Each function raises ValueError with the reason."""

import grp
import ipaddress
import os
import re
import zoneinfo
from datetime import time, timedelta
from pathlib import Path

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Address and port.
Server = tuple[str, int]


def number(text: str, low: float, high: float, what: str) -> float:
    """A number in a range; `what` says which."""
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not low <= number <= high:
        raise ValueError(f"{text} is not {what}")
    return number


def whole(text: str, low: int, high: int, what: str) -> int:
    """A whole number in a range; `what` says which."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number")
    return int(number(text, low, high, what))


def workers(text: str) -> int:
    """How many workers."""
    return whole(text, 1, 64, "a number of workers between 1 and 64")


def hosts(text: str) -> tuple[str, ...]:
    """Addresses to listen on, comma-separated."""
    hosts = tuple(host.strip().removeprefix("[").removesuffix("]") for host in text.split(",") if host.strip())
    if not hosts:
        raise ValueError("name at least one address to listen on")
    return hosts


def networks(text: str) -> tuple[Network, ...]:
    """Networks, comma-separated."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def networks_or_none(text: str) -> tuple[Network, ...]:
    """The same; `none` for no network at all."""
    # An empty variable counts as not set.
    return () if text.strip().lower() == "none" else networks(text)


def names(text: str) -> frozenset[str]:
    """Host names, comma-separated."""
    names = [part.strip().lower() for part in text.split(",") if part.strip()]
    for name in names:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", name):
            raise ValueError(f"{name!r} is not a host name; write it in ASCII and without a port")
    return frozenset(names)


def socket_path(text: str) -> str:
    """The path of a Unix socket."""
    # sun_path has 108 bytes, the last of which is NUL.
    if "\0" in text or len(os.fsencode(text)) > 107:
        raise ValueError("the path of a socket has at most 107 bytes and no NUL")
    return text


def sockets_folder(text: str) -> str:
    """The path of a folder for Unix sockets, with room for the longest of their names."""
    if "\0" in text or len(os.fsencode(text)) > 99:
        raise ValueError("the path of a folder for sockets has at most 99 bytes and no NUL")
    return text


def group(text: str) -> int:
    """The ID of a group."""
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise ValueError(f"there is no group {text!r}") from None


def servers(text: str) -> tuple[Server, ...]:
    """Resolvers, comma-separated."""
    return tuple(_server(part.strip()) for part in text.split(",") if part.strip())


def _server(text: str) -> Server:
    """An IP address with or without a port, IPv6 with or without brackets. A name would itself need a resolver."""
    found = re.fullmatch(r"\[(.*)\](?::(.*))?", text) or re.fullmatch(r"([^:]*)(?::([^:]*))?", text)
    host, port = found.groups() if found else (text, None)
    number = 53 if port is None else whole(port, 1, 65535, "a port number between 1 and 65535")
    return str(ipaddress.ip_address(host)), number


def timezone(text: str) -> zoneinfo.ZoneInfo:
    """A time zone by its name."""
    try:
        return zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, OSError):
        raise ValueError(f"there is no time zone {text!r}; names are like Europe/Berlin") from None


def flag(text: str) -> bool:
    """Yes or no."""
    lowered = text.lower()
    if lowered not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ValueError(f"{text!r} is neither true nor false")
    return lowered in ("1", "true", "yes", "on")


def log_format(text: str) -> str:
    """For whom the log is."""
    if text not in ("console", "json"):
        raise ValueError(f"{text!r} is neither console nor json")
    return text


def password(text: str) -> str:
    """A password."""
    if "\0" in text or len(text) > 512:
        raise ValueError("a password has at most 512 characters and no NUL")
    return text


def database(text: str) -> str:
    """A file, `:memory:`, or the URL of a PostgreSQL database."""
    if not text:
        raise ValueError("name a file, or :memory:")
    scheme, found, rest = text.partition("://")
    # The text may hold a password, so no message shows it.
    if found and (scheme not in ("postgresql", "postgres") or not rest):
        raise ValueError("a URL of a database looks like postgresql://user:password@host/name")
    return text


def has_password(url: str) -> bool:
    """Whether the URL of a database holds a password, or may."""
    place, _, parameters = url.partition("?")
    user, at, _ = place.partition("://")[2].rpartition("@")
    return "://" in url and (":" in user or "password" in parameters or (not at and "@" in parameters))


def databases(text: str) -> tuple[str, ...]:
    """URLs of PostgreSQL databases, separated by white space: a URL may have commas."""
    found = tuple(database(each) for each in text.split())
    if not all("://" in each for each in found):
        raise ValueError("name URLs of PostgreSQL databases")
    return found


def first_line(path: str) -> str:
    """The first line of a file, which must not be empty."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            line = file.readline(4096).strip()
    except (OSError, UnicodeError):
        raise ValueError(f"the file {path} cannot be read") from None
    if not line:
        raise ValueError(f"the file {path} is empty")
    return line


def readable_file(text: str) -> str:
    """The path of a file that can be read."""
    if not (Path(text).is_file() and os.access(text, os.R_OK)):
        raise ValueError(f"the file {text} cannot be read")
    return text


def seconds(text: str) -> float:
    """Seconds, up to an hour."""
    return number(text, 0.1, 3600, "a number of seconds between 0.1 and 3600")


def connections(text: str) -> int:
    """A number of connections."""
    return whole(text, 1, 1_000_000, "a number of connections between 1 and a million")


def keep(text: str) -> dict[str, int]:
    """How many backups of each period to keep: unit -> number."""
    found: dict[str, int] = {}
    for part in text.split(","):
        matched = re.fullmatch(r"([0-9]{1,4})([hdwmy])", part.strip())
        if matched is None or int(matched[1]) == 0 or matched[2] in found:
            raise ValueError(f"{text!r} is not like 7d,4w,12m: numbers of hours, days, weeks, months or years")
        found[matched[2]] = int(matched[1])
    return found


_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def every(text: str) -> timedelta | time:
    """How often something is done, such as `24h`, or at which time of the day, such as `03:30`."""
    if found := re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])", text.strip()):
        return time(int(found[1]), int(found[2]))
    if (found := re.fullmatch(r"([0-9]{1,4})([mhd])", text.strip())) and int(found[1]):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    raise ValueError(f"{text!r} is neither like 24h (minutes, hours or days) nor a time of the day like 03:30")
