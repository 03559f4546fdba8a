"""Possible values of the fields of a user."""

from typing import Final

#: Status of a user. A shared mailbox needs no password; a contact has an address and no mailbox.
STATUS_NORMAL, STATUS_SUSPENDED, STATUS_OUT_OF_DATE, STATUS_DELETED, STATUS_SHARED, STATUS_CONTACT = range(6)
STATUSES: Final = tuple(range(6))

#: Values of displaytypeex ([MS-OXOAB] 2.2.3.12): mail user, remote mail user.
DISPLAY_MAILBOX, DISPLAY_CONTACT = 0, 6

#: Most characters of an address (RFC 5321, 4.5.3.1: 64 before the @, 255 behind it).
LONGEST_ADDRESS: Final = 320

#: Most characters of a password's hash.
LONGEST_HASH: Final = 512

#: Most characters of a text property: clients of this API store its length in 16 bits.
LONGEST_TEXT: Final = 32_767

#: The privileges and other yes-or-no fields of a user.
FLAGS: Final = (
    "pop3_imap",
    "smtp",
    "changePassword",
    "publicAddress",
    "privChat",
    "privVideo",
    "privFiles",
    "privArchive",
    "privWeb",
    "privEas",
    "privDav",
    "chat",
    "chatAdmin",
)
