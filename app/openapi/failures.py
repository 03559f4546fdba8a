"""The error responses that each operation documents."""

from typing import Final

from marshmallow import Schema

from postroom.schemas.responses.common import ErrorSchema, InternalErrorSchema, UnauthenticatedSchema

#: Status -> (name of the component, schema, cause).
ERRORS: Final[dict[int, tuple[str, type[Schema], str]]] = {
    400: ("InvalidRequest", ErrorSchema, "The input breaks a rule; nothing was stored"),
    401: ("Unauthenticated", UnauthenticatedSchema, "There is no login, or it is not valid any more"),
    403: ("Forbidden", ErrorSchema, "The caller may not do this"),
    404: ("NotFound", ErrorSchema, "No object has this ID or name, or it is not in the domain of the path"),
    408: ("TooSlow", ErrorSchema, "The body did not arrive in time; nothing was done"),
    409: (
        "Conflict",
        ErrorSchema,
        "A conflict with what is stored, or has changed meanwhile; the message says if `force` overrides it",
    ),
    412: ("PreconditionFailed", ErrorSchema, "Somebody else has changed this since it was read (If-Match)"),
    413: ("TooLarge", ErrorSchema, "The body is larger than 1 MiB, or 16 KiB for a login"),
    415: ("Unsupported", ErrorSchema, "The body is compressed, or is a form in a character set other than UTF-8"),
    429: ("TooMany", ErrorSchema, "Too many failed logins, or too many at once; Retry-After says when to try again"),
    500: ("ServerError", InternalErrorSchema, "An internal error; the log has more under the request ID"),
    503: (
        "Unavailable",
        InternalErrorSchema,
        "The database or the directory is unavailable, the service overloaded, or this took too long: try again later",
    ),
}
#: Errors of an operation that its row in the route table does not show. Some rows are public because the handler itself
#: identifies the caller; other operations name a domain or an object in the query.
OWN_ERRORS: Final[dict[str, tuple[int, ...]]] = {
    "postLogin": (401, 429),
    "postMyLogin": (401, 429),
    "putPasswd": (401, 403, 429),
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
