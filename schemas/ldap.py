"""The `ldapConfig` document: which directory to ask, and what its attributes mean."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from marshmallow import RAISE, Schema, ValidationError, fields, missing, pre_load
from marshmallow.validate import Length, OneOf, Range

from postroom.schemas.fields import Bool, Listed, Mapped, Short
from postroom.schemas.values import proptags

TEMPLATE_NAMES = ("common", "ActiveDirectory", "OpenLDAP", "Univention", "389ds")
#: A quota is a signed 32-bit property, in KiB.
MAX_QUOTA = 2**31 - 1
MAX_SERVERS = 16

_DEFAULT_PORTS = {"ldap": 389, "ldaps": 636}
_HOST = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}")
_ATTRIBUTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.;-]{0,127}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
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

    ValueError with a plain English reason when one is wrong or there is none.
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
    """ValueError with the reason unless the text is an LDAP filter; outer parentheses may be left out."""
    text = text.strip()
    if not text.startswith("("):
        text = f"({text})"
    if _skip_filter(text, 0, 0) != len(text):
        raise ValueError("The filter goes on after its end")


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


def _sentence(check: Callable[[str], object]) -> Callable[[str], None]:
    """A marshmallow validator out of a function that raises ValueError with a reason for people."""

    def validator(value: str) -> None:
        try:
            check(value)
        except ValueError as exc:
            raise ValidationError(f"{exc}.") from None

    return validator


def _line(value: str) -> None:
    if _CONTROL.search(value):
        raise ValidationError("Line breaks and control characters are not allowed.")


def _attribute_name(value: str) -> None:
    if not _ATTRIBUTE.fullmatch(value):
        raise ValidationError("Not an LDAP attribute name: letters, digits, hyphens, dots and semicolons only.")


def _property_name(value: str) -> None:
    # The name is cut short: it comes from the client and ends in a message.
    found = proptags.find(value)
    if found is None or found.kind is None:
        raise ValidationError(f'Unknown property "{value[:64]}".' if value.isprintable() else "Unknown property.")


def _distinct(value: dict[str, str]) -> None:
    if len({name.lower() for name in value}) < len(value):
        raise ValidationError("An attribute is named twice; upper and lower case are the same.")


def _text(*validators: Callable[[str], object], limit: int = 1024, required: bool = False) -> Short:
    """A line of text; null and "" mean absent where it is optional, and are refused where required."""
    checks: list[Callable[[str], object]] = [Length(min=1 if required else 0, max=limit), _line, *validators]
    return Short(required=required, allow_none=not required, validate=checks, dump_default="")


def _attribute(*, required: bool = False) -> Short:
    return _text(_attribute_name, required=required, limit=128)


def _filter() -> Short:
    return Short(allow_none=True, validate=[Length(max=4096), _sentence(check_filter)], dump_default="")


class _Strict(Schema):
    """Unknown fields are refused on every level: Nested does not inherit `unknown`."""

    class Meta:
        unknown = RAISE

    @pre_load
    def _drop_absent(self, data: Any, **_: Any) -> Any:
        """Null and an emptied text box both mean: not given."""
        if not isinstance(data, dict):
            return data
        optional = {name for name, field in self.fields.items() if field.allow_none}
        return {name: value for name, value in data.items() if not (name in optional and value in (None, ""))}


class LdapConnectionSchema(_Strict):
    """Where the directory is and who asks."""

    server = _text(_sentence(server_addresses), required=True)
    bindUser = _text()  # the API's name
    # Any text at all, and never part of a message.
    bindPass = Short(allow_none=True, validate=Length(max=1024))
    starttls = Bool(dump_default=False)


class LdapUsersSchema(_Strict):
    """How users are found and what their attributes mean."""

    username = _attribute(required=True)
    displayName = _attribute()
    filter = _filter()
    filters = Listed(
        Short(validate=[Length(min=1, max=4096), _sentence(check_filter)]),
        validate=Length(max=32),
        dump_default=list,
    )
    searchAttributes = Listed(Short(validate=_attribute_name), validate=Length(max=32), dump_default=list)
    attributes = Mapped(
        keys=Short(validate=_attribute_name),
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
    """How groups are found."""

    groupMemberAttr = _attribute()
    groupaddr = _attribute()
    groupfilter = _filter()
    groupname = _attribute()


class LdapConfigSchema(_Strict):
    """The whole document, as it is PUT. `bindPass` may be missing: then the stored one is kept.

    The defaults are what a read answers for what is not given; they mean the same when they come back.
    """

    disabled = Bool(dump_default=False)
    enableContacts = Bool(dump_default=True)  # whether contacts are taken over
    connection = fields.Nested(LdapConnectionSchema, required=True)
    baseDn = _text(required=True)
    objectID = _attribute(required=True)
    users = fields.Nested(LdapUsersSchema, required=True)
    groups = fields.Nested(LdapGroupsSchema, allow_none=True)


def with_defaults(document: Mapping[str, Any]) -> dict[str, Any]:
    """A stored document with everything that may be PUT, but the password and a quota that is not set."""
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
