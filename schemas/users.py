"""Users as they come in: one schema to create, one to change, one for the query of a list."""

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
