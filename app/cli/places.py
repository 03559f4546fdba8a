"""Where a command works: on the local database, or at a service that runs somewhere.

The first that is given decides: --url, --database, POSTROOM_URL, POSTROOM_DATABASE, a settings file named by --config,
what `postroom login` has stored. Without any, it is the local database.
"""

import json as json_module
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

Url = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="A running service [POSTROOM_URL], with POSTROOM_TOKEN.")
]

_API: Final = "/api/v1"
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
READABLE: Final = "Without https, everybody on the way can read the login"


class PlaceError(Exception):
    """It is not clear where to work, or with which token."""


@dataclass(frozen=True, slots=True)
class Local:
    """The local database; None: that of the settings."""

    database: str | None

    def __str__(self) -> str:
        return "in the local database"


@dataclass(frozen=True, slots=True)
class Remote:
    """A service, by the URL of its API."""

    url: str
    token: str

    def __str__(self) -> str:
        return f"at {self.url.removesuffix(_API)}"


def chosen(
    url: str | None, database: str | None, environ: Mapping[str, str] = os.environ, *, by_file: bool = False
) -> Local | Remote:
    """The place that the options and the environment name. `by_file`: a settings file was named. Raises PlaceError."""
    if url is not None and database is not None:
        raise PlaceError("Give --url or --database, not both")
    if url is None and database is None:
        url = environ.get("POSTROOM_URL") or None
        named = by_file or environ.get("POSTROOM_DATABASE") or environ.get("POSTROOM_DATABASE_FILE")
        if url is None and not named:
            stored = read_login(environ)
            if stored is not None:
                return Remote(stored.url, _checked_token(given_token(environ) or stored.token))
    if url is None:
        return Local(database)
    base = api_of(url)
    token = given_token(environ)
    if token is None:
        stored = read_login(environ)
        if stored is None or stored.url != base:
            raise PlaceError(f"There is no token for {url}: set POSTROOM_TOKEN, or use postroom login {url}")
        token = stored.token
    return Remote(base, _checked_token(token))


def _checked_token(token: str) -> str:
    if not token.isascii() or not token.isprintable():
        raise PlaceError("POSTROOM_TOKEN is no token: those are one line of ASCII characters")
    return token


def given_token(environ: Mapping[str, str] = os.environ) -> str | None:
    """The token in the environment."""
    return environ.get("POSTROOM_TOKEN") or None


def api_of(url: str) -> str:
    """The URL of the API of a service, given with or without its path. Raises PlaceError."""
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        named = False
    if not named or "@" in parts.netloc or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise PlaceError(f"Not the URL of a service, such as https://mail.example.org: {url[:200]!r}")
    base = url.rstrip("/")
    return base if base.endswith(_API) else f"{base}{_API}"


def is_readable_on_the_way(base: str) -> bool:
    """Whether others may read what is sent to this URL."""
    parts = urlsplit(base)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


def login_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The file of `postroom login`."""
    folder = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home(), ".config")
    return Path(folder, "postroom", "login.json")


def read_login(environ: Mapping[str, str] = os.environ) -> Remote | None:
    """What `postroom login` has stored; None: nothing. Raises PlaceError."""
    path = login_file(environ)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            stored: Any = json_module.load(file)
        place = Remote(api_of(str(stored["url"])), _checked_token(str(stored["token"])))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, RecursionError, PlaceError) as error:
        raise PlaceError(f"{path} cannot be used ({type(error).__name__}); use postroom login again") from None
    if mode & 0o077:
        raise PlaceError(f"Others may read {path}, which holds a token: chmod 600 {path}")
    return place


def write_login(place: Remote, environ: Mapping[str, str] = os.environ) -> None:
    """Stores a login, for its owner's eyes only. Raises PlaceError."""
    from postroom.storage.files import write_private

    path = login_file(environ)
    content = json_module.dumps({"url": place.url, "token": place.token}).encode()
    # With a name of its own until it is complete: two commands may log in at once.
    new = path.with_name(f"login.{secrets.token_hex(8)}.json")
    try:
        write_private(new, content, owner_of=path.parent, replace=False)
        new.replace(path)
    except OSError as error:
        raise PlaceError(f"{path} cannot be written: {error.strerror}") from None


def forget_login(environ: Mapping[str, str] = os.environ) -> None:
    """Removes what is stored."""
    login_file(environ).unlink(missing_ok=True)
