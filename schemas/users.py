"""Requests that create or change users."""

import re
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, validate

from postroom.schemas.addresses import domain_of, normalise_address
from postroom.schemas.fields import (
    Bool,
    Input,
    Int,
    Listed,
    Text,
    check_time,
)
from postroom.schemas.properties import Properties
from postroom.schemas.sync_policy import SyncPolicySchema
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
    """A mail address; loads in its stored form. The error shows an invalid one."""

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
    """A JSON array of addresses. The number of different domains is limited.

    Normalising an international domain takes up to a millisecond.
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
    """An alternative login name. `magic` is its origin; it is read-only and accepted because clients send it back."""

    altname = Text(LONGEST_ADDRESS, required=True, validate=validate.Length(min=1))
    magic = Int()


class ForwardSchema(Input):
    """A forward of a copy of the mail (0) or of the mail itself (1). It has no `username`: it belongs to its user."""

    forwardType = Int(required=True, validate=validate.OneOf((0, 1)))
    destination = Address(required=True)


def _check_server(server: str) -> None:
    match = _SERVER.fullmatch(server)
    if not match or int(match["port"] or 1) not in range(1, 65536):
        raise ValidationError("Not a host name or address with an optional :port.")


class FetchmailSchema(Input):
    """An account on another server. With the ID of an existing entry, only the given fields change."""

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
    """The privileges and chat settings of a user, in requests and responses."""

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
    """The fields that both creating and changing a user may set."""

    status = Int(validate=validate.OneOf(STATUSES))
    lang = Text(32, allow_none=True)
    properties = Properties()
    aliases = Addresses(allow_none=True, validate=validate.Length(max=1000))
    altnames = Listed(fields.Nested(AltnameSchema), allow_none=True, validate=validate.Length(max=1000))
    fetchmail = Listed(fields.Nested(FetchmailSchema), allow_none=True, validate=validate.Length(max=1000))
    forward = fields.Nested(ForwardSchema, allow_none=True)
    syncPolicy = fields.Nested(SyncPolicySchema, allow_none=True)
    # There is only one server, so only null is possible. Without SystemAdmin the field is ignored.
    homeserver = fields.Raw(allow_none=True)


class UserCreateSchema(_Writable):
    """The body of POST users."""

    # Required except for a contact (status 5), whose username is made from its ID.
    username = Text(LONGEST_ADDRESS, validate=validate.Length(min=1))
    password = Text(512, line=False, allow_none=True, load_only=True)
    domainID = Int()  # read-only: must equal the domain of the path


class UserPatchSchema(_Writable):
    """The body of PATCH users. It has no `password`, because that has an operation and rules of its own."""

    username = Text(LONGEST_ADDRESS, validate=validate.Length(min=1))
    ldapID = Text(4096, allow_none=True)  # null unlinks the user; any other value must equal the stored one
    # Read-only. Accepted because clients send back the whole user: each must equal the stored value.
    ID = Int()
    domainID = Int()
    orgID = Int()
    roles = Listed(fields.Dict())
    mlist = Int(allow_none=True)


READ_ONLY = ("ID", "domainID", "orgID", "roles", "mlist")
