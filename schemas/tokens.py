"""Requests about tokens for programs. The transaction checks owner and permissions."""

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, post_load, validate

from postroom.schemas.fields import Bool, IdRef, Input, Listed, QueryId, QueryInt, Short, Text, check_time
from postroom.schemas.roles import PermissionSchema
from postroom.schemas.values.networks import read_network

LONGEST_NAME: Final = 64
MOST_PERMISSIONS: Final = 100
MOST_NETWORKS: Final = 64
#: Characters of an IPv6 network.
_LONGEST_NETWORK: Final = 64


class NetworkField(Short):
    """A network such as 192.0.2.0/24, or a single address; loads as the text of its one form."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return str(read_network(text))
        except ValueError:
            raise ValidationError("Not a network, such as 192.0.2.0/24 or 2001:db8::/32.") from None


class TokenCreateSchema(Input):
    """The body of POST /tokens. `permissions` are those of roles; null or left out means all that the owner may do."""

    name = Text(LONGEST_NAME, required=True, validate=validate.Length(min=1))
    owner = IdRef()
    permissions = Listed(
        fields.Nested(PermissionSchema), allow_none=True, validate=validate.Length(min=1, max=MOST_PERMISSIONS)
    )
    readOnly = Bool()
    networks = Listed(
        NetworkField(validate=validate.Length(max=_LONGEST_NETWORK)), validate=validate.Length(max=MOST_NETWORKS)
    )
    expires = Text(19, allow_none=True, validate=check_time)

    @post_load
    def _complete(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {
            **data,
            "readOnly": data.get("readOnly", False),
            "networks": list(dict.fromkeys(data.get("networks", ()))),
        }


class TokenListQuerySchema(Schema):
    """The query of a list of tokens."""

    owner = QueryId(metadata={"description": "Only the tokens of this user"})
    limit = QueryInt(most=1000, load_default=50)
    offset = QueryInt(load_default=0)
