"""What an OpenAPI document says besides its operations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from postroom.app.openapi.example_calls import load
from postroom.app.web.authentication import COOKIE

JSON = dict[str, Any]


class About(NamedTuple):
    """What a document says besides its operations."""

    title: str
    description: str
    tags: Mapping[str, str]
    #: How to log in.
    security: Mapping[str, JSON]
    #: IDs in paths: name -> description.
    ids: Mapping[str, str]
    #: Text parameters in paths: name -> description, bounds.
    path_texts: Mapping[str, tuple[str, JSON]]
    #: Headers of all operations that change something.
    headers: Mapping[str, JSON]
    #: Loads the examples.
    examples: Callable[[], Sequence[JSON]]


_DESCRIPTION = """\
postroom administers the mailbox users of mail domains over the grommunio Admin API. Log in with `POST /login`, then \
send the token as Bearer, or as the cookie together with the header X-Csrf-Token. A program can have a token of its \
own (`POST /tokens`), which it sends as Bearer."""

_TAGS: Final = {
    "Domain Admin/Users": "The users of one domain, and what belongs to each: for administrators of the domain",
    "Domain Admin/Folders": "Public folders, of which postroom has none",
    "Domain Admin/MLists": "Mailing lists, of which postroom has none",
    "LDAP": "The directory that users are updated from",
    "Me": "What users look after themselves, also those without a role",
    "Misc": "Logging in, the caller's own profile and password, the state of the service",
    "Service": "For the ActiveSync server and the mail server, which are trusted by address or log in",
    "System Admin/Dashboard": "This machine and its services",
    "System Admin/Domains": "Mail domains",
    "System Admin/License": "Limits, of which there are none",
    "System Admin/MConf": "Configuration of the system",
    "System Admin/Organizations": "Organisations, to which domains may belong",
    "System Admin/Roles": "Roles: what their holders may do, and who holds them",
    "System Admin/Servers": "Other servers, of which there are none",
    "Sessions": "Logins that have not ended",
    "Tokens": "Tokens for programs, each with rights of its own",
    "TasQ": "Work that continues in the background after the response",
    "Users": "Users of any domain by name, and many users of a domain at once",
    "Defaults": "Default values of new domains and users",
    "Audit": "The record of all changes",
    "Mail": "What a mail server does with what is stored",
}

# The cookie is declared as a header: for a key in a cookie, openapi-generator writes a Ruby client with syntax errors.
_SECURITY: Final = {
    "JWTCookie": {"type": "apiKey", "in": "header", "name": "Cookie", "description": f"`{COOKIE}=` and the token"},
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}

#: A username can be any text: for an unknown one the response is a 404,
#: or has the defaults.
_PATH_TEXTS: Final[dict[str, tuple[str, JSON]]] = {
    "username": ("Username or alias of the user, in any case", {}),
    "sessionID": ("The login, by the ID that the list of logins shows", {}),
    "deviceID": ("The device, by the ID that the list of devices shows", {"pattern": r"^[A-Za-z0-9._:-]{1,64}$"}),
}

_IDS: Final = {
    "domainID": "The domain, by ID",
    "userID": "The user, by ID; a user of another domain is not found",
    "ID": "The organisation, role, task or token that the path names, by ID",
}

_CSRF: Final = {
    "name": "X-Csrf-Token",
    "description": "The `csrf` of the login; needed with the cookie, not with Bearer",
    "required": False,
    "schema": {"type": "string"},
}

#: The document of the API.
API: Final = About(
    "postroom", _DESCRIPTION, _TAGS, _SECURITY, _IDS, _PATH_TEXTS, headers={"CSRFToken": _CSRF}, examples=load
)
