"""The answers for `postroom init`: from its options, or asked on the terminal."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import typer

from postroom.app import settings
from postroom.app.cli.beginning import Beginning
from postroom.app.config import SettingError
from postroom.app.errors import InvalidError
from postroom.app.services.first_steps import checked_password
from postroom.app.web.inputs import load
from postroom.schemas.domains import DomainCreateSchema
from postroom.schemas.ldap import LdapConfigSchema

T = TypeVar("T")

#: Kind of directory -> what its configuration has besides its place and the bind user, as in docs/directory.md.
KINDS: Final[dict[str, dict[str, Any]]] = {
    "OpenLDAP": {
        "objectID": "entryUUID",
        "users": {
            "username": "mail",
            "filter": "(objectClass=inetOrgPerson)",
            "searchAttributes": ["mail", "cn", "uid"],
            "templates": ["common", "OpenLDAP"],
        },
    },
    "ActiveDirectory": {
        "objectID": "objectGUID",
        "users": {
            "username": "mail",
            "aliases": "proxyAddresses",
            "filters": [
                "(objectCategory=person)",
                "(objectClass=user)",
                "(mail=*)",
                "(!(userAccountControl:1.2.840.113556.1.4.803:=2))",
            ],
            "searchAttributes": ["mail", "displayName", "sAMAccountName"],
            "contactFilter": "(&(objectClass=contact)(mail=*))",
            "templates": ["common", "ActiveDirectory"],
        },
    },
    "Univention": {
        "objectID": "entryUUID",
        "users": {
            "username": "mailPrimaryAddress",
            "aliases": "mailAlternativeAddress",
            "filter": "(&(objectClass=person)(mailPrimaryAddress=*))",
            "searchAttributes": ["mailPrimaryAddress", "displayName", "uid"],
            "templates": ["common", "Univention"],
        },
    },
    "389ds": {
        "objectID": "nsUniqueId",
        "users": {
            "username": "mail",
            "aliases": "mailAlternateAddress",
            "filter": "(objectClass=inetOrgPerson)",
            "searchAttributes": ["mail", "cn", "uid"],
            "templates": ["common", "389ds"],
        },
    },
}


@dataclass(frozen=True, slots=True)
class Given:
    """The answers that were given as options; None and False: not given."""

    domain: str | None
    max_users: int
    password_stdin: bool
    directory: str | None
    no_directory: bool
    ca_file: str | None


def order(given: Given, settings_file: Path, database: Path) -> Beginning:
    """All answers, checked. Raises SettingError, InvalidError, typer.Abort."""
    if given.directory is not None and given.no_directory:
        raise SettingError("--directory and --no-directory exclude each other")
    missing = [
        option
        for option, there in (
            ("--domain", given.domain is not None),
            ("--password-stdin", given.password_stdin),
            ("--directory or --no-directory", given.directory is not None or given.no_directory),
        )
        if not there
    ]
    if missing and not sys.stdin.isatty():
        raise SettingError(f"There is no terminal to ask on; add {', '.join(missing)}")
    return Beginning(
        settings_file,
        database,
        domain=_domain(given),
        password=_password(given),
        directory=_directory(given),
        ca_file=_ca_file(given),
    )


def _domain(given: Given) -> dict[str, Any]:
    def check(name: str) -> dict[str, Any]:
        found: dict[str, Any] = load(DomainCreateSchema(), {"domainname": name, "maxUser": given.max_users})
        return found

    return check(given.domain) if given.domain is not None else _ask("First mail domain, such as example.org", check)


def _password(given: Given) -> str:
    if given.password_stdin:
        return checked_password(sys.stdin.readline().rstrip("\r\n"))
    return _ask("Password of the administrator", checked_password, hidden=True)


def _directory(given: Given) -> dict[str, Any] | None:
    if given.directory is not None:
        return _loaded(_read(given.directory))
    if given.no_directory or not typer.confirm("Do users come from an LDAP directory?", default=False, err=True):
        return None
    return _ask_directory()


def _ask_directory() -> dict[str, Any]:
    kind = _ask(f"Its kind ({', '.join(KINDS)})", _kind)
    server = _ask("Its server, such as ldaps://ldap.example.org", _text)
    connection: dict[str, Any] = {"server": server}
    if server.startswith("ldap://"):
        connection["starttls"] = typer.confirm("Encrypt the connection with StartTLS?", default=True, err=True)
    base = _ask("Where users are, such as ou=people,dc=example,dc=org", _text)
    user = typer.prompt("DN of the user to log in as; empty: none", default="", show_default=False, err=True)
    if user:
        password = typer.prompt("Their password", hide_input=True, err=True)
        connection |= {"bindUser": user, "bindPass": password}
    return _loaded({**KINDS[kind], "connection": connection, "baseDn": base})


def _loaded(document: object) -> dict[str, Any]:
    found: dict[str, Any] = load(LdapConfigSchema(), document)
    return found


def _read(path: str) -> object:
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise SettingError(f"--directory: {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise SettingError(f"--directory: {path} is not JSON") from None


def _kind(text: str) -> str:
    found = [kind for kind in KINDS if kind.lower() == text.strip().lower()]
    if not found:
        raise InvalidError(f"Known kinds: {', '.join(KINDS)}")
    return found[0]


def _text(text: str) -> str:
    return text.strip()


def _ca_file(given: Given) -> str | None:
    if given.ca_file is None:
        return None
    try:
        return str(Path(settings.readable_file(given.ca_file)).absolute())
    except ValueError as error:
        raise SettingError(f"--ca-file: {error}") from None


def _ask(question: str, check: Callable[[str], T], *, hidden: bool = False) -> T:
    """Asks until the answer passes the check."""
    while True:
        answer = typer.prompt(question, hide_input=hidden, confirmation_prompt=hidden, err=True)
        try:
            return check(answer)
        except InvalidError as error:
            typer.echo(error.message, err=True)
