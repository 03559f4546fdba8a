"""Users as they come in: one schema to create, one to change, one for the query of a list."""

import re
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields, post_load, validate

from postroom.schemas.addresses import domain_of, normalise_address, stored_form
from postroom.schemas.fields import (
    Bool,
    CommaSeparated,
    Input,
    Int,
    Listed,
    QueryBool,
    QueryInt,
    Text,
    check_time,
)
from postroom.schemas.pages import MOST_NAMES, MOST_TERMS, PageQuerySchema, known_fields, page_arguments
from postroom.schemas.properties import Properties
from postroom.schemas.sync_policy import SyncPolicySchema
from postroom.schemas.values import proptags
from postroom.schemas.values.proptags import Kind
from postroom.schemas.values.queries import USER_MATCH_FIELDS, USER_SORT_FIELDS, UserQuery
from postroom.schemas.values.users import LONGEST_ADDRESS, STATUSES

_SERVER = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:(?P<port>\d{1,5}))?", re.ASCII)
_FINGERPRINT = re.compile(r"([0-9A-F]{2}(:[0-9A-F]{2})*)?", re.ASCII)
_AUTH = (
    "password",
    "kerberos_v5",
    "kerberos",
    "kerberos_v4",
    "gssapi",
    "cram-md5",
    "otp",
    "ntlm",
    "msn",
    "ssh",
    "any",
)


class Address(fields.String):
    """A mail address; loads in the form in which it is stored. What is none is named in the error."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metadata = {"maxLength": LONGEST_ADDRESS, **self.metadata}

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return normalise_address(text)
        except ValueError as error:
            raise ValidationError(f"{text[:100]!r} is no valid address: {error}") from None


class Addresses(Listed):
    """A JSON array of addresses, in no more different domains than can be looked at in a moment.

    Working out the one spelling of an international domain takes up to a millisecond.
    """

    most_domains: ClassVar[int] = 1000

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(Address(), **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> list[Any]:
        if isinstance(value, list) and len(value) > self.most_domains:
            domains = {domain_of(address) for address in value if isinstance(address, str)}
            if len(domains) > self.most_domains:
                raise ValidationError(f"Addresses in more than {self.most_domains:,} different domains.")
        return super()._deserialize(value, attr, data, **kwargs)


class AltnameSchema(Input):
    """`magic` says where an altname comes from; it is read-only and taken only because clients send it back."""

    altname = Text(LONGEST_ADDRESS, required=True, validate=validate.Length(min=1))
    magic = Int()


class ForwardSchema(Input):
    """Where a copy of the mail (0) or the mail itself (1) goes. No `username`: a forward is its user's, always."""

    forwardType = Int(required=True, validate=validate.OneOf((0, 1)))
    destination = Address(required=True)


def _check_server(server: str) -> None:
    match = _SERVER.fullmatch(server)
    if not match or int(match["port"] or 1) not in range(1, 65536):
        raise ValidationError("Not a host name or address with an optional :port.")


class FetchmailSchema(Input):
    """One account elsewhere. With the ID of an entry that exists, only the fields given change."""

    ID = Int()
    mailbox = Text(LONGEST_ADDRESS)
    active = Bool()
    srcServer = Text(255, validate=_check_server)
    srcAuth = Text(32, validate=validate.OneOf(_AUTH))
    srcUser = Text(255, validate=validate.Length(min=1))
    srcPassword = Text(255)
    srcFolder = Text(255)
    fetchall = Bool()
    keep = Bool()
    protocol = Text(8, validate=validate.OneOf(("POP3", "IMAP", "POP2", "ETRN", "AUTO")))
    useSSL = Bool()
    sslCertCheck = Bool()
    sslCertPath = Text(255, allow_none=True)
    sslFingerprint = Text(
        255,
        allow_none=True,
        validate=validate.Regexp(_FINGERPRINT.pattern + r"\Z", error="Not a fingerprint AA:BB:…"),
    )
    extraOptions = Text(1024, allow_none=True)
    date = Text(19, validate=check_time)


class PrivilegesSchema(Input):
    """What a user may do, and chat: all yes or no, coming in and going out."""

    pop3_imap = Bool()
    smtp = Bool()
    changePassword = Bool()
    publicAddress = Bool()
    privChat = Bool()
    privVideo = Bool()
    privFiles = Bool()
    privArchive = Bool()
    privWeb = Bool()
    privEas = Bool()
    privDav = Bool()
    chat = Bool()
    chatAdmin = Bool()


class _Writable(PrivilegesSchema):
    """What both creating and changing a user may set."""

    status = Int(validate=validate.OneOf(STATUSES))
    lang = Text(32, allow_none=True)
    properties = Properties()
    aliases = Addresses(allow_none=True, validate=validate.Length(max=1000))
    altnames = Listed(fields.Nested(AltnameSchema), allow_none=True, validate=validate.Length(max=1000))
    fetchmail = Listed(fields.Nested(FetchmailSchema), allow_none=True, validate=validate.Length(max=1000))
    forward = fields.Nested(ForwardSchema, allow_none=True)
    syncPolicy = fields.Nested(SyncPolicySchema, allow_none=True)
    # There is one server only, so the only homeserver is none; who is no SystemAdmin has the field ignored.
    homeserver = fields.Raw(allow_none=True)


class UserCreateSchema(_Writable):
    """The body of POST users."""

    # Needed, but not for a contact (status 5), whose own name is made from its ID.
    username = Text(LONGEST_ADDRESS, validate=validate.Length(min=1))
    password = Text(512, line=False, allow_none=True, load_only=True)
    domainID = Int()  # read-only: taken when it is the domain of the path


class UserPatchSchema(_Writable):
    """The body of PATCH users. No `password`: that has an operation of its own, with rules of its own."""

    username = Text(LONGEST_ADDRESS, validate=validate.Length(min=1))
    ldapID = Text(4096, allow_none=True)  # null detaches; anything else must be what is stored
    # Read-only, and in here only because clients send back the whole user: each must equal what is stored.
    ID = Int()
    domainID = Int()
    orgID = Int()
    roles = Listed(fields.Dict())
    mlist = Int(allow_none=True)


READ_ONLY = ("ID", "domainID", "orgID", "roles", "mlist")


class UserListQuerySchema(PageQuerySchema):
    """The query of a list of users; loads as a UserQuery. Unknown parameters never reach it."""

    matchFields = CommaSeparated(Text(64), most=MOST_NAMES, load_default=list)
    matchProps = CommaSeparated(Text(100), most=MOST_NAMES, load_default=list)
    filterProp = Text(4000, load_default="")
    ID = CommaSeparated(QueryInt())
    username = Text(LONGEST_ADDRESS)
    status = CommaSeparated(QueryInt())
    mlist = Text(0)  # "hide the users behind mailing lists": there are none
    properties = CommaSeparated(Text(100), most=MOST_NAMES)

    @post_load
    def _query(self, data: dict[str, Any], **_: Any) -> UserQuery:
        return UserQuery(
            **page_arguments(data),
            sort=_sort_keys(data["sort"]),
            match_fields=frozenset(known_fields(data["matchFields"], USER_MATCH_FIELDS)),
            match_tags=_known_tags(data["matchProps"]),
            username=stored_form(data["username"]) if "username" in data else None,
            ids=data.get("ID"),
            status=data.get("status"),
            org_ids=data.get("orgID"),
            filter_tags=_property_filters(data["filterProp"]),
            property_tags=_known_tags(data["properties"]) if "properties" in data else None,
        )


class AllUsersQuerySchema(UserListQuerySchema):
    """The query of the list of all users. `orgID`: of the domains of these organisations, 0 of those without one."""

    orgID = CommaSeparated(QueryInt())


def _known_tags(names: list[str]) -> list[int]:
    """The tags of the properties that there are, each once."""
    found = (proptags.find(name) for name in names)
    return list(dict.fromkeys(proptag.tag for proptag in found if proptag is not None))


def _sort_keys(sort: list[tuple[str, bool]]) -> list[tuple[str | int, bool]]:
    """The keys that are a field or a property; a field goes before a property of its name."""
    keys: list[tuple[str | int, bool]] = []
    for name, descending in sort:
        if name in USER_SORT_FIELDS:
            keys.append((name, descending))
        else:
            keys += [(tag, descending) for tag in _known_tags([name])]
    return keys


def _property_filters(text: str) -> list[tuple[int, list[int] | list[str]]]:
    """`displaytypeex:0,7,8;otherprop:x` -> each property with the values of which it must have one."""
    filters: list[tuple[int, list[int] | list[str]]] = []
    parts = [part for part in text.split(";") if part]
    if len(parts) > MOST_TERMS:
        raise ValidationError({"filterProp": [f"More than {MOST_TERMS} properties."]})
    for part in parts:
        name, colon, values = part.partition(":")
        if not colon or not values:
            raise ValidationError({"filterProp": ["Not of the form property:value,value;property:value."]})
        proptag = proptags.find(name)
        if proptag is None:
            # Passing over the filter would show users whom it was to leave out.
            raise ValidationError({"filterProp": [f"Unknown property {name[:100]!r}."]})
        singles = values.split(",")
        if proptag.kind in (Kind.INTEGER, Kind.BOOLEAN):
            filters.append((proptag.tag, [_filter_number(proptag, single) for single in singles]))
        else:
            filters.append((proptag.tag, singles))
    return filters


def _filter_number(proptag: proptags.PropTag, text: str) -> int:
    if proptag.kind is Kind.BOOLEAN and text.lower() in ("true", "false"):
        return int(text.lower() == "true")
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        raise ValidationError({"filterProp": [f"{proptag.name} needs a number, not {text[:50]!r}."]})
    return int(text)


class UserDeleteQuerySchema(Schema):
    """Both are taken and without effect: there are neither files nor chat users beside the database."""

    deleteFiles = QueryBool()
    deleteChatUser = QueryBool()
