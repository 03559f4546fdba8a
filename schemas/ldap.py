"""The `ldapConfig` document: the directory to ask, and the meaning of its attributes."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, missing, pre_load
from marshmallow.validate import Length, OneOf, Range

from postroom.schemas.fields import Bool, Listed, Mapped, Short
from postroom.schemas.ldap_filters import check_filter
from postroom.schemas.ldap_text import server_addresses
from postroom.schemas.values import proptags

TEMPLATE_NAMES = ("common", "ActiveDirectory", "OpenLDAP", "Univention", "389ds")
#: A quota is a signed 32-bit property, in KiB.
MAX_QUOTA = 2**31 - 1

_ATTRIBUTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.;-]{0,127}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _sentence(check: Callable[[str], object]) -> Callable[[str], None]:
    """Makes a marshmallow validator from a function that raises ValueError with a readable reason."""

    def validator(value: str) -> None:
        try:
            check(value)
        except ValueError as exc:
            raise ValidationError(f"{exc}.") from None

    return validator


def _line(value: str) -> None:
    if _CONTROL.search(value):
        raise ValidationError("Line breaks and control characters are not allowed.")


def check_attribute_name(value: str) -> None:
    """Raises ValidationError unless the text could be the name of an attribute."""
    if not _ATTRIBUTE.fullmatch(value):
        raise ValidationError("Not an LDAP attribute name: letters, digits, hyphens, dots and semicolons only.")


def _property_name(value: str) -> None:
    # The name comes from the client and is part of the message, so truncate it.
    found = proptags.find(value)
    if found is None or found.kind is None:
        raise ValidationError(f'Unknown property "{value[:64]}".' if value.isprintable() else "Unknown property.")


def _distinct(value: dict[str, str]) -> None:
    if len({name.lower() for name in value}) < len(value):
        raise ValidationError("An attribute is named twice; upper and lower case are the same.")


def _text(*validators: Callable[[str], object], limit: int = 1024, required: bool = False) -> Short:
    """A line of text. Null and "" mean "not set" in an optional field; a required field refuses them."""
    checks: list[Callable[[str], object]] = [Length(min=1 if required else 0, max=limit), _line, *validators]
    return Short(required=required, allow_none=not required, validate=checks, dump_default="")


def _attribute(*, required: bool = False) -> Short:
    return _text(check_attribute_name, required=required, limit=128)


def _filter() -> Short:
    return Short(allow_none=True, validate=[Length(max=4096), _sentence(check_filter)], dump_default="")


class _Strict(Schema):
    """Refuses unknown fields. The base of all levels, because Nested does not inherit `unknown`."""

    class Meta:
        unknown = RAISE

    @pre_load
    def _drop_absent(self, data: Any, **_: Any) -> Any:
        """Drops optional fields with null or "" (an emptied text box): both mean "not set"."""
        if not isinstance(data, dict):
            return data
        optional = {name for name, field in self.fields.items() if field.allow_none}
        return {name: value for name, value in data.items() if not (name in optional and value in (None, ""))}


class LdapConnectionSchema(_Strict):
    """The servers of the directory and the bind user."""

    server = _text(_sentence(server_addresses), required=True)
    bindUser = _text()  # the API's name
    # Any text is allowed, and it is never part of a message.
    bindPass = Short(allow_none=True, validate=Length(max=1024))
    starttls = Bool(dump_default=False)


class LdapUsersSchema(_Strict):
    """How to find users, and what their attributes mean."""

    username = _attribute(required=True)
    displayName = _attribute()
    filter = _filter()
    filters = Listed(
        Short(validate=[Length(min=1, max=4096), _sentence(check_filter)]),
        validate=Length(max=32),
        dump_default=list,
    )
    searchAttributes = Listed(Short(validate=check_attribute_name), validate=Length(max=32), dump_default=list)
    attributes = Mapped(
        keys=Short(validate=check_attribute_name),
        values=Short(required=True, validate=_property_name),
        validate=[Length(max=256), _distinct],
        dump_default=dict,
    )
    templates = Listed(
        Short(validate=OneOf(TEMPLATE_NAMES, error="Unknown template. Known ones: {choices}.")),
        validate=Length(max=len(TEMPLATE_NAMES)),
        dump_default=list,
    )
    defaultQuota = fields.Integer(strict=True, allow_none=True, validate=Range(0, MAX_QUOTA))
    aliases = _attribute()
    altname = _attribute()
    contactFilter = _filter()


class LdapGroupsSchema(_Strict):
    """How to find groups."""

    groupMemberAttr = _attribute()
    groupaddr = _attribute()
    groupfilter = _filter()
    groupname = _attribute()


class LdapConfigSchema(_Strict):
    """The whole document, as in PUT. Without `bindPass` the stored password stays.

    Reads return the defaults for fields that are not set. Sending them back changes nothing.
    """

    disabled = Bool(dump_default=False)
    enableContacts = Bool(dump_default=True)  # whether contacts are imported
    connection = fields.Nested(LdapConnectionSchema, required=True)
    baseDn = _text(required=True)
    objectID = _attribute(required=True)
    users = fields.Nested(LdapUsersSchema, required=True)
    groups = fields.Nested(LdapGroupsSchema, allow_none=True)


def with_defaults(document: Mapping[str, Any]) -> dict[str, Any]:
    """A stored document with the defaults filled in, but without the password and without an unset quota."""
    return _filled(LdapConfigSchema(), document)


def _filled(schema: Schema, document: Mapping[str, Any]) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for name, field in schema.fields.items():
        if isinstance(field, fields.Nested):
            filled[name] = _filled(field.schema, document.get(name) or {})
        elif name in document:
            filled[name] = document[name]
        elif field.dump_default is not missing:
            filled[name] = field.dump_default() if callable(field.dump_default) else field.dump_default
    return filled
