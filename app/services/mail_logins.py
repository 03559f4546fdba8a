"""Checks the logins of mail clients, for a mail server that has none of the hashes."""

from typing import Final, Literal, NamedTuple

from postroom.app.auth.throttle import counted_source
from postroom.app.auth.tokens import is_active
from postroom.app.errors import LoginFailedError, ThrottledError, UnavailableError
from postroom.app.limits.addresses import parse_address
from postroom.app.services import mail, session
from postroom.app.services.context import Context
from postroom.app.services.logins import authenticate
from postroom.schemas.session import LONGEST_PASSWORD
from postroom.storage import auth
from postroom.storage.auth import Account
from postroom.storage.mail import Mailbox

#: Protocol, as Dovecot calls it -> the privilege that it needs. Whoever may read mail may also manage filters for it.
PRIVILEGES: Final = {
    "imap": "pop3_imap",
    "pop3": "pop3_imap",
    "sieve": "pop3_imap",
    "smtp": "smtp",
    "submission": "smtp",
}


class MailLogin(NamedTuple):
    """What became of a login: the username, if it is right. `mismatch` tells nothing about why."""

    outcome: Literal["ok", "mismatch", "throttled", "temporary"]
    address: str = ""


async def verify(context: Context, name: str, password: str, protocol: str, source: str) -> MailLogin:
    """Whether this is the password of a mailbox whose user may use the protocol.

    `name`: the username, an alias or a further login name. `source`: the address of the client, as the mail server
    tells it. Too many failures and a full queue are `throttled`, a directory that is away is `temporary`: neither says
    that the password is wrong. Errors of the database are raised.
    """
    mailbox: Mailbox | None = None

    async def find() -> Account | None:
        nonlocal mailbox
        mailbox = await mail.find_account(context, name)
        return None if mailbox is None else await auth.select_account(context.database, mailbox.id)

    def admits(account: Account) -> bool:
        return is_active(account) and mailbox is not None and _may_use(mailbox, protocol)

    if not 0 < len(password) <= LONGEST_PASSWORD or "\0" in password:
        # No stored password is like this, and hashing long ones is work.
        return MailLogin("mismatch")
    # A client on a Unix socket has no address.
    counted = counted_source(parse_address(source), shared=False)
    try:
        account = await authenticate(context, counted, name, password, find, admits, repeated=True)
        await session.renew_hash(context, account, password)
    except LoginFailedError:
        return MailLogin("mismatch")
    except ThrottledError:
        return MailLogin("throttled")
    except UnavailableError:
        return MailLogin("temporary")
    return MailLogin("ok", account.username)


def _may_use(mailbox: Mailbox, protocol: str) -> bool:
    privilege = PRIVILEGES.get(protocol.lower())
    return privilege is not None and bool(getattr(mailbox, privilege))
