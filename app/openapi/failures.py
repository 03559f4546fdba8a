"""Which failures each operation documents."""

from typing import TYPE_CHECKING, Final

from marshmallow import Schema

from postroom.schemas.responses.common import ErrorSchema, InternalErrorSchema, UnauthenticatedSchema

if TYPE_CHECKING:
    pass


#: Status -> (name of the component, schema, when it happens).
ERRORS: Final[dict[int, tuple[str, type[Schema], str]]] = {
    400: ("InvalidRequest", ErrorSchema, "The input breaks a rule; nothing was stored"),
    401: ("Unauthenticated", UnauthenticatedSchema, "There is no login, or one that does not count any more"),
    403: ("Forbidden", ErrorSchema, "The caller may not do this"),
    404: ("NotFound", ErrorSchema, "Nothing has this ID or name, or not in the domain of the path"),
    408: ("TooSlow", ErrorSchema, "The body did not arrive in time; nothing was done"),
    409: (
        "Conflict",
        ErrorSchema,
        "What is stored, or has changed meanwhile, stands in the way; the message says when `force` overrules it",
    ),
    412: ("PreconditionFailed", ErrorSchema, "Somebody else has changed this since it was read (If-Match)"),
    413: ("TooLarge", ErrorSchema, "The body is larger than 1 MiB, or 16 KiB for a login"),
    415: ("Unsupported", ErrorSchema, "The body is compressed, or is a form in a character set other than UTF-8"),
    429: ("TooMany", ErrorSchema, "Too many failed logins, or too many at once; Retry-After says when to try"),
    500: ("ServerError", InternalErrorSchema, "An internal error; the log has more under the request ID"),
    503: (
        "Unavailable",
        InternalErrorSchema,
        "The database or the directory cannot be used, there is too much to do, or this took too long: try again later",
    ),
}
#: What happens beside that which shows in the route's row. Some are public there, because the handler itself finds out
#: who is calling; others name a domain or an object in the query.
OWN_ERRORS: Final[dict[str, tuple[int, ...]]] = {
    "postLogin": (401, 429),
    "putPasswd": (401, 403, 429),
    "postDeviceWipe": (429,),
    "setUserDeviceWipeStatus": (429,),
    "postUser": (429,),
    "setPassword": (429,),
    "resetPasswd": (429,),
    "searchLDAP": (404,),
    "dumpLDAP": (404,),
    "checkUsers": (404,),
    "deleteOrphaned": (404, 409),
    "setLDAPConf": (409,),
    "setOrgLDAPConf": (409,),
    "importLdapUser": (404, 409),
    "putDownsync": (409,),
    "updateAllUsers": (409,),
    "updateAllDomainUsers": (409,),
    "updateOrgLDAPUsers": (409,),
}
RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "How many seconds to wait before the next try",
        "schema": {"type": "integer", "minimum": 1},
    }
}
