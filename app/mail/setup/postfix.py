"""The settings for Postfix, and the commands that make them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from postroom.app.mail.setup.places import Places

_MAPS: Final = ("domains", "mailboxes", "aliases", "senders")
_QUOTA: Final = "check_policy_service unix:private/quota-status"
#: The services by which people send: with STARTTLS, and with TLS from the beginning.
SUBMISSION: Final = "submission"
SUBMISSIONS: Final = "submissions"


def parameters(places: Places) -> Mapping[str, str]:
    """main.cf: what postroom answers, and what follows from that."""
    # The proxy asks for services in Debian's chroot, and keeps its connections.
    domains, mailboxes, aliases, senders = (f"proxy:socketmap:unix:{places.sockets}/postfix:{name}" for name in _MAPS)
    return {
        "recipient_delimiter": "+",
        # All domains are postroom's. Debian lists its own domain here, and would look for people in /etc/passwd.
        "mydestination": "localhost",
        # An address means what it says: no `%` and no `!` in it is the way to another server.
        "allow_percent_hack": "no",
        "swap_bangpath": "no",
        "virtual_alias_domains": "",
        "virtual_mailbox_domains": domains,
        "virtual_mailbox_maps": mailboxes,
        "virtual_alias_maps": aliases,
        "virtual_transport": "lmtp:unix:private/dovecot-lmtp",
        "smtpd_sender_login_maps": senders,
        "smtpd_sasl_type": "dovecot",
        "smtpd_sasl_path": "private/auth",
        "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
        "smtpd_recipient_restrictions": f"reject_unauth_destination, {_QUOTA}",
        # master.cf takes no value with a space.
        "postroom_recipient_restrictions": f"{_QUOTA}, permit_sasl_authenticated, reject",
    }


def submission(*, tls: bool) -> Mapping[str, str]:
    """master.cf: whoever logs in may send, under the addresses that are theirs or were given to them."""
    return {
        "syslog_name": "postfix/submission",
        # No password is ever sent in plain text.
        **({"smtpd_tls_wrappermode": "yes"} if tls else {"smtpd_tls_security_level": "encrypt"}),
        "smtpd_sasl_auth_enable": "yes",
        "smtpd_sender_restrictions": "reject_sender_login_mismatch",
        "smtpd_relay_restrictions": "permit_sasl_authenticated,reject",
        "smtpd_recipient_restrictions": "$postroom_recipient_restrictions",
    }


def commands(places: Places, starttls: str = SUBMISSION, tls: str = SUBMISSIONS) -> Iterator[Sequence[str]]:
    """The calls of postconf(1) that store all of it. The services are names or ports."""
    postconf = ("postconf", "-c", str(places.postfix))
    yield (*postconf, "-e", *(f"{name}={value}" for name, value in parameters(places).items()))
    for service in (starttls, tls):
        options = submission(tls=service == tls)
        yield (*postconf, "-M", f"{service}/inet={service} inet n - y - - smtpd")
        yield (*postconf, "-P", *(f"{service}/inet/{name}={value}" for name, value in options.items()))


def config_files(folder: Path) -> Sequence[Path]:
    """The files that the commands change."""
    return (folder / "main.cf", folder / "master.cf")
