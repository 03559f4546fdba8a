"""What a mail server asks: who receives the mail of an address, who may send as it, and what a mailbox is.

Every statement finds by key, so it costs the same whatever else is stored.
"""

import json
from typing import Final, NamedTuple

from postroom.schemas.values import proptags
from postroom.schemas.values.domains import STATUS_ACTIVE, STATUS_DELETED
from postroom.schemas.values.users import (
    STATUS_CONTACT,
    STATUS_NORMAL,
    STATUS_OUT_OF_DATE,
    STATUS_SHARED,
    STATUS_SUSPENDED,
)
from postroom.storage.database import Database

#: Most mailboxes that are listed at a time.
PAGE: Final = 1000

#: Type of a forward that keeps no copy.
REDIRECT: Final = 1

_ACTIVE: Final = STATUS_ACTIVE
#: Statuses of users whose mail is delivered, and of those whose mailbox is kept.
DELIVERED: Final = (STATUS_NORMAL, STATUS_SHARED)
KEPT: Final = (*DELIVERED, STATUS_SUSPENDED, STATUS_OUT_OF_DATE)
_DELIVERED, _KEPT = ", ".join(map(str, DELIVERED)), ", ".join(map(str, KEPT))


def _tag(name: str) -> int:
    found = proptags.find(name)
    if found is None:
        raise LookupError(name)
    return found.tag


_SMTP_ADDRESS: Final = _tag("smtpaddress")
#: Either stops the delivery when it is reached; the smaller one counts.
_LIMITS: Final = (_tag("storagequotalimit"), _tag("prohibitreceivequota"))


class Addressee(NamedTuple):
    """Whoever has an address. `forward_type` and `destination` are None without a forward."""

    id: int
    username: str
    status: int
    #: The worse one, of their domain and of that of the address.
    domain_status: int
    forward_type: int | None
    destination: str | None
    #: Of a contact: the address that mail is passed on to.
    smtp_address: str | None

    @property
    def has_mailbox(self) -> bool:
        """Whether mail is delivered to a mailbox of theirs."""
        return self.domain_status == _ACTIVE and self.status in DELIVERED

    @property
    def leaves_for(self) -> str | None:
        """Where all mail goes: the destination of a redirect, or the address of a contact, which may be any text."""
        if self.has_mailbox:
            return self.destination if self.forward_type == REDIRECT else None
        return self.smtp_address if self.domain_status == _ACTIVE and self.status == STATUS_CONTACT else None


class Mailbox(NamedTuple):
    """A mailbox, also one of a suspended user, whose mail is kept."""

    id: int
    domain_id: int
    username: str
    status: int
    domain_status: int
    pop3_imap: bool
    smtp: bool
    #: In KiB; None: no limit.
    limit: int | None
    #: Usernames of the mailboxes that the user may open as well.
    opens: list[str]

    @property
    def is_active(self) -> bool:
        """Whether neither the user nor the domain is suspended."""
        return self.domain_status == _ACTIVE and self.status in DELIVERED


# A key is a folded address, whose domain is in A-labels.
_DOMAIN_OF_ADDRESS = "substr(a.key, instr(a.key, '@') + 1)"

_ADDRESSEE = f"""
    SELECT u.id, u.username, u.status, max(d.domain_status, own.domain_status), f.forward_type, f.destination, p.value
      FROM addresses a
      JOIN domains own ON own.domainname = {_DOMAIN_OF_ADDRESS}
      JOIN users u ON u.id = a.user_id
      JOIN domains d ON d.id = u.domain_id
      LEFT JOIN forwards f ON f.user_id = u.id
      LEFT JOIN properties p ON p.user_id = u.id AND p.tag = {_SMTP_ADDRESS}
     WHERE a.key = ? AND a.kind <> 'altname'
"""

# Whoever has the address, and those whom they let send as or for them. A grant counts for the user to whom it was made.
_SENDERS = f"""
    SELECT json_group_array(username)
      FROM (SELECT u.username
              FROM addresses a
              JOIN domains own ON own.domainname = {_DOMAIN_OF_ADDRESS} AND own.domain_status = {_ACTIVE}
              JOIN users u ON u.id = a.user_id AND u.status = {STATUS_NORMAL}
              JOIN domains d ON d.id = u.domain_id AND d.domain_status = {_ACTIVE}
             WHERE a.key = ? AND a.kind <> 'altname'
             UNION
            SELECT m.username
              FROM addresses a
              JOIN domains own ON own.domainname = {_DOMAIN_OF_ADDRESS} AND own.domain_status = {_ACTIVE}
              JOIN users u ON u.id = a.user_id AND u.status IN ({_DELIVERED})
              JOIN domains d ON d.id = u.domain_id AND d.domain_status = {_ACTIVE}
              JOIN grants g ON g.user_id = u.id
              JOIN addresses x ON x.key = g.key AND x.kind <> 'altname'
              JOIN users m ON m.id = x.user_id AND m.status = {STATUS_NORMAL}
              JOIN domains theirs ON theirs.id = m.domain_id AND theirs.domain_status = {_ACTIVE}
             WHERE a.key = ? AND a.kind <> 'altname' AND (g.member_id IS NULL OR g.member_id = m.id)
             ORDER BY 1) found
"""

_MAILBOX = f"""
    SELECT u.id, u.domain_id, u.username, u.status, d.domain_status, u.pop3_imap, u.smtp,
           (SELECT min(p.number) FROM properties p
             WHERE p.user_id = u.id AND p.tag IN ({", ".join(map(str, _LIMITS))}) AND p.number > 0),
           (SELECT json_group_array(username)
              FROM (SELECT o.username
                      FROM store_access s
                      JOIN users o ON o.id = s.user_id AND o.status IN ({_DELIVERED})
                      JOIN domains theirs ON theirs.id = o.domain_id AND theirs.domain_status = {_ACTIVE}
                     WHERE s.member_id = u.id
                     ORDER BY 1) opened)
      FROM users u
      JOIN domains d ON d.id = u.domain_id AND d.domain_status <> {STATUS_DELETED}
     WHERE u.status IN ({_KEPT})
       AND u.id = (SELECT a.user_id
                     FROM addresses a
                    WHERE a.key = ?
                    ORDER BY CASE a.kind WHEN 'altname' THEN 1 ELSE 0 END
                    LIMIT 1)
"""

_MAILBOXES = f"""
    SELECT u.id, u.username
      FROM users u
      JOIN domains d ON d.id = u.domain_id AND d.domain_status <> {STATUS_DELETED}
     WHERE u.id > ? AND u.status IN ({_KEPT})
     ORDER BY u.id
     LIMIT {PAGE}
"""


async def select_domain_status(database: Database, domainname: str) -> int | None:
    """The status of a domain (A-labels, lower case); None if it is none of ours."""
    sql = "SELECT domain_status FROM domains WHERE domainname = ?"
    status: int | None = await database.fetch_by_key(sql, (domainname,))
    return status


async def select_addressee(database: Database, key: str) -> Addressee | None:
    """Whoever has this address (folded) as username or alias."""
    row = await database.fetch_row_by_key(_ADDRESSEE, (key,))
    return None if row is None else Addressee(*row)


async def select_senders(database: Database, key: str) -> list[str]:
    """Usernames of all who may send as this address (folded)."""
    names: list[str] = json.loads(await database.fetch_by_key(_SENDERS, (key, key)))
    return names


async def select_mailbox(database: Database, key: str) -> Mailbox | None:
    """The mailbox of an address or further login name (folded)."""
    row = await database.fetch_row_by_key(_MAILBOX, (key,))
    if row is None:
        return None
    user_id, domain_id, username, status, domain_status, pop3_imap, smtp, limit, opens = row
    return Mailbox(
        user_id, domain_id, username, status, domain_status, bool(pop3_imap), bool(smtp),
        None if limit is None else int(limit), json.loads(opens),
    )  # fmt: skip


async def select_mailboxes(database: Database, after: int) -> list[tuple[int, str]]:
    """ID and username of the next mailboxes after an ID, at most PAGE."""
    return [(int(user_id), str(username)) for user_id, username in await database.fetch_all(_MAILBOXES, (after,))]
