"""The setting that selects the backend for logins."""

from typing import Final

from marshmallow import validate

from postroom.schemas.fields import Input, Text

#: The default: the directory for linked users, the local password for all others.
EXTERNID: Final = "externid"
#: The local password for everybody. Linked users have none, so they cannot log in.
ALWAYS_MYSQL: Final = "always_mysql"
#: The directory for everybody except the administrator. Unlinked users cannot log in.
ALWAYS_LDAP: Final = "always_ldap"

BACKENDS: Final = (ALWAYS_MYSQL, ALWAYS_LDAP, EXTERNID)


class AuthmgrSchema(Input):
    """The body of PUT, and part of its response."""

    authBackendSelection = Text(16, required=True, validate=validate.OneOf(BACKENDS))
