"""Parses and checks texts of an ldapConfig document: servers and filters."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_SERVERS = 16
_DEFAULT_PORTS = {"ldap": 389, "ldaps": 636}
_HOST = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}")
# attribute (with options, matching rule and :dn), operator, value with RFC 4515 escapes.
_ITEM = re.compile(r"\s*[A-Za-z0-9.;:_-]+\s*(?:[~<>:]?=)(?:[^()\\\x00]|\\[0-9A-Fa-f]{2})*")
_SPACE = re.compile(r"\s*")
_MAX_DEPTH = 32


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


def check_filter(text: str) -> None:
    """Raises ValueError with the reason unless the text is an LDAP filter. Outer parentheses are optional."""
    text = text.strip()
    if not text.startswith("("):
        text = f"({text})"
    if _skip_filter(text, 0, 0) != len(text):
        raise ValueError("The filter has text after its end")


def _skip_filter(text: str, start: int, depth: int) -> int:
    """Position behind the filter (and the space after it) that begins at `start`."""
    if depth > _MAX_DEPTH:
        raise ValueError("The filter is nested too deeply")
    if text[start : start + 1] != "(":
        raise ValueError("The filter lacks an opening parenthesis")
    position = _skip_space(text, start + 1)
    operator = text[position : position + 1]
    if operator and operator in "&|!":
        first = position = _skip_space(text, position + 1)
        while text[position : position + 1] == "(":
            position = _skip_filter(text, position, depth + 1)
            if operator == "!":
                break
        if position == first:
            raise ValueError(f"The filter has nothing after {operator}")
    else:
        item = _ITEM.match(text, position)
        if item is None:
            raise ValueError("The filter lacks a comparison such as mail=*")
        position = item.end()
    if text[position : position + 1] != ")":
        raise ValueError("The filter has unbalanced parentheses or an invalid escape")
    return _skip_space(text, position + 1)


def _skip_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position
