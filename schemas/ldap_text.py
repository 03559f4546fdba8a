"""Parses the servers of an ldapConfig document."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_SERVERS = 16
_DEFAULT_PORTS = {"ldap": 389, "ldaps": 636}
_HOST = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """One directory server. `tls` is True for ldaps: encrypted from the first byte."""

    url: str
    host: str
    port: int
    tls: bool


def server_addresses(text: str) -> tuple[ServerAddress, ...]:
    """The servers of a space-separated list of `ldap://host[:port]`, `ldaps://host[:port]` or `host[:port]`.

    ValueError with a plain English reason when one is invalid or the list is empty.
    """
    parts = text.split()
    if not parts:
        raise ValueError("At least one server is needed")
    if len(parts) > MAX_SERVERS:
        raise ValueError(f"There are more than {MAX_SERVERS} servers")
    return tuple(_server_address(part) for part in parts)


def _server_address(text: str) -> ServerAddress:
    url = text if "://" in text else f"ldap://{text}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("A server has an invalid host or port") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("A server must start with ldap:// or ldaps://")
    # "ldap://user:password@host" would show a password in every message that names the server.
    if "@" in parts.netloc or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("A server must be a scheme, a host and a port, and nothing else")
    if not host or port == 0 or not (":" in host or _HOST.fullmatch(host)):
        raise ValueError("A server has an invalid host or port")
    port = port or _DEFAULT_PORTS[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    return ServerAddress(f"{parts.scheme}://{shown}:{port}", host, port, parts.scheme == "ldaps")
