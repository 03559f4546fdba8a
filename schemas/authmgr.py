"""What a login goes by."""

from typing import Final

from marshmallow import validate

from postroom.schemas.fields import Input, Text

#: The directory for users who are linked to it, the local password for all others: the default.
EXTERNID: Final = "externid"
#: The local password for everybody. Linked users have none, so they cannot log in.
ALWAYS_MYSQL: Final = "always_mysql"
#: The directory for everybody but the administrator. Who is not linked cannot log in.
ALWAYS_LDAP: Final = "always_ldap"


class AuthmgrSchema(Input):
    """The body of PUT, and a part of its answer."""

    authBackendSelection = Text(16, required=True, validate=validate.OneOf([ALWAYS_MYSQL, ALWAYS_LDAP, EXTERNID]))
