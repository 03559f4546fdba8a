"""What people do with a mail server: SMTP, IMAP, POP3."""

import contextlib
import imaplib
import poplib
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage

from tests.support.mail_servers import PATIENCE, MailServers
from tests.support.mail_sockets import PASSWORD


class Person:
    """Somebody with an address, who logs in with it or with another name."""

    def __init__(self, servers: MailServers, name: str, password: str = PASSWORD) -> None:
        self._servers = servers
        self.name, self._password = name, password

    def sends(self, to: str, subject: str, sender: str | None = None) -> None:
        """Logs in and sends a message. smtplib's errors."""
        with self.submission() as smtp:
            smtp.send_message(message(sender or self.name, to, subject), sender or self.name, to)

    @contextlib.contextmanager
    def submission(self, *, tls: bool = False) -> Iterator[smtplib.SMTP]:
        """A connection that is logged in, with STARTTLS, or with TLS from the beginning. SMTPResponseException."""
        with self._connected(tls=tls) as smtp:
            smtp.ehlo()
            smtp.user, smtp.password = self.name, self._password
            smtp.auth("PLAIN", smtp.auth_plain)
            yield smtp

    def authenticates(self) -> None:
        """Logs in to send, and does not. SMTPResponseException."""
        with self.submission():
            pass

    def _connected(self, *, tls: bool) -> smtplib.SMTP:
        if tls:
            return smtplib.SMTP_SSL("127.0.0.1", self._servers.submissions, timeout=PATIENCE, context=unverified())
        smtp = smtplib.SMTP("127.0.0.1", self._servers.submission, timeout=PATIENCE)
        smtp.starttls(context=unverified())
        return smtp

    @contextlib.contextmanager
    def imap(self) -> Iterator[imaplib.IMAP4]:
        """A connection that is logged in. imaplib.IMAP4.error."""
        with imaplib.IMAP4("127.0.0.1", self._servers.imap, timeout=PATIENCE) as imap:
            imap.login(self.name, self._password)
            yield imap

    @contextlib.contextmanager
    def pop3(self) -> Iterator[poplib.POP3]:
        """A connection that is logged in. poplib.error_proto."""
        pop3 = poplib.POP3("127.0.0.1", self._servers.pop3, timeout=PATIENCE)
        try:
            pop3.user(self.name)
            pop3.pass_(self._password)
            yield pop3
        finally:
            pop3.close()

    def logs_in(self) -> bool:
        """Whether IMAP lets them in."""
        try:
            with self.imap():
                return True
        except imaplib.IMAP4.error:
            return False

    def mailboxes(self) -> list[str]:
        """The names of all mailboxes that the client shows."""
        with self.imap() as imap:
            return [each.decode().split(' "/" ')[1].strip('"') for each in imap.list()[1] if isinstance(each, bytes)]

    def reads(self, mailbox: str = "INBOX") -> list[str]:
        """The subjects of all messages."""
        with self.imap() as imap:
            kind, _ = imap.select(f'"{mailbox}"', readonly=True)
            return subjects(imap) if kind == "OK" else []

    def has(self, subject: str, mailbox: str = "INBOX") -> bool:
        """Whether such a message arrives in time."""
        end = time.monotonic() + PATIENCE
        with self.imap() as imap:
            while time.monotonic() < end:
                imap.select(f'"{mailbox}"', readonly=True)
                if subject in subjects(imap):
                    return True
                time.sleep(0.05)
        return False


def subjects(imap: imaplib.IMAP4) -> list[str]:
    """Those of all messages in the mailbox that is selected."""
    numbers = imap.search(None, "ALL")[1][0]
    if not numbers:
        return []
    _, found = imap.fetch(numbers.decode().replace(" ", ","), "(BODY[HEADER.FIELDS (SUBJECT)])")
    headers = [each[1].decode() for each in found if isinstance(each, tuple)]
    return [each.partition(":")[2].strip() for each in headers]


def message(sender: str, to: str, subject: str, size: int = 10) -> EmailMessage:
    """A message with a text of this many characters."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, to, subject
    made.set_content("x" * 70 + "\n" if size < 70 else ("x" * 70 + "\n") * (size // 71))
    return made


def unverified() -> ssl.SSLContext:
    """TLS to a server whose certificate nobody has signed."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def arrives(servers: MailServers, to: str, subject: str, sender: str = "x@elsewhere.example", size: int = 10) -> None:
    """A message from another server. smtplib's errors."""
    with smtplib.SMTP("127.0.0.1", servers.smtp, timeout=PATIENCE) as smtp:
        smtp.send_message(message(sender, to, subject, size), sender, to)


def refused(call: Callable[..., None], *arguments: object, **options: object) -> int:
    """The code with which a server refuses something, or 0."""
    try:
        call(*arguments, **options)
    except smtplib.SMTPRecipientsRefused as error:
        return next(iter(error.recipients.values()))[0]
    except smtplib.SMTPResponseException as error:
        return error.smtp_code
    return 0
