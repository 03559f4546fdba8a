"""Responses about what becomes of mail."""

from marshmallow import fields, validate

from postroom.schemas.fields import Bool, Input, Int

#: What becomes of mail at an address.
KINDS = (
    "mailbox", "copy", "circle", "alias", "redirect", "contact", "detail", "outside",
    "unknown", "invalid", "suspended", "domain", "lost", "endless",
)  # fmt: skip


class MailStepSchema(Input):
    """What becomes of mail at one address, as a word and as a sentence. `targets` are where it goes on."""

    address = fields.String(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    text = fields.String(required=True)
    targets = fields.List(fields.String(), required=True)
    username = fields.String(required=True, allow_none=True)


class MailReplySchema(Input):
    """Whether a reply is due now, and which."""

    replies = Bool(required=True)
    text = fields.String(required=True)
    subject = fields.String(required=True, allow_none=True)
    reply = fields.String(required=True, allow_none=True)


class MailDeliverySchema(Input):
    """A mailbox that gets the mail. `folder` is relative to that of all mail; `quotaKiB` is null without a limit."""

    username = fields.String(required=True)
    folder = fields.String(required=True, allow_none=True)
    quotaKiB = Int(required=True, allow_none=True)
    outOfOffice = fields.Nested(MailReplySchema, required=True, allow_none=True)


class MailLoginSchema(Input):
    """Whether a login may send as a sender, and why."""

    login = fields.String(required=True)
    username = fields.String(required=True, allow_none=True)
    sender = fields.String(required=True)
    maySend = Bool(required=True)
    text = fields.String(required=True)


class MailCheckSchema(Input):
    """What becomes of mail for an address. `accepted` is whether a server that has it from elsewhere takes it."""

    address = fields.String(required=True)
    accepted = Bool(required=True)
    steps = fields.List(fields.Nested(MailStepSchema), required=True)
    mailboxes = fields.List(fields.Nested(MailDeliverySchema), required=True)
    outside = fields.List(fields.String(), required=True)
    failures = fields.List(fields.String(), required=True)
    senders = fields.List(fields.String(), required=True)
    login = fields.Nested(MailLoginSchema, required=True, allow_none=True)
