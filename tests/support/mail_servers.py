"""Real Postfix and Dovecot on loopback ports, with private folders, configured as `postroom mail setup` does."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from postroom.app.mail.setup import dovecot, postfix
from postroom.app.mail.setup.places import Places
from tests.support.certificates import make_authority
from tests.support.slapd import free_port

#: Seconds that anything may take; a machine under load is slow.
PATIENCE = 60
#: The account to which all mail belongs.
USER, GROUP = "nobody", "nogroup"

_DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
listen = 127.0.0.1
ssl = no
auth_failure_delay = 0
# Replies; sendmail(1) would take them to the Postfix of this machine.
submission_host = 127.0.0.1:{smtp}
mail_fsync = never
# No waits after wrong passwords.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
!include postroom.conf
"""
_POSTFIX = """
compatibility_level = 3.6
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
queue_directory = {folder}/spool
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
myhostname = mail.test.invalid
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
default_transport = smtp:[127.0.0.1]:{sink}
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
smtpd_tls_chain_files = {folder}/server.key {folder}/server.pem
"""


@dataclass(frozen=True, slots=True)
class MailServers:
    """Both servers, and what other servers have got from them."""

    folder: Path
    places: Places
    imap: int
    pop3: int
    #: For mail from elsewhere, and for people who log in.
    smtp: int
    submission: int
    submissions: int

    def sent(self) -> str:
        """All that was sent to other servers."""
        return "\n".join(file.read_text(errors="replace") for file in sorted((self.folder / "sink").iterdir()))

    def log(self) -> str:
        """What both servers have written."""
        files = (self.folder / "postfix.log", self.folder / "dovecot.log")
        return "\n".join(file.read_text(errors="replace") for file in files if file.exists())

    def run(self, *command: str) -> str:
        """What a command of one of the servers has printed."""
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        return done.stdout + done.stderr

    def doveadm(self, *arguments: str) -> str:
        """What doveadm says."""
        return self.run("doveadm", "-c", str(self.places.dovecot / "dovecot.conf"), *arguments)

    def postmap(self, name: str, key: str) -> str:
        """What Postfix is told about a key."""
        table = postfix.parameters(self.places)[name]
        return self.run("postmap", "-c", str(self.places.postfix), "-q", key, table)


@contextlib.contextmanager
def mail_servers(sockets: Path | None = None) -> Iterator[MailServers]:
    """Both servers, which ask a postroom whose sockets are in this folder, or in one of theirs. May skip the test."""
    missing = [each for each in ("postfix", "dovecot", "smtp-sink") if shutil.which(each) is None]
    if missing or os.getuid() != 0:
        pytest.skip(f"needs root and {', '.join(missing) or 'nothing else'}")
    # Their processes run under accounts that may not enter the folders of pytest.
    folder = Path(tempfile.mkdtemp(prefix="postroom-mail-"))
    try:
        folder.chmod(0o755)
        imap, pop3, smtp, submission, submissions, sink = (free_port() for _ in range(6))
        places = Places(
            sockets or folder / "sockets",
            folder / "mail",
            USER,
            GROUP,
            folder / "spool",
            folder / "postfix",
            folder / "dovecot",
        )
        servers = MailServers(folder, places, imap, pop3, smtp, submission, submissions)
        _write(servers, sink)
        with _sink(folder, sink), _dovecot(servers), _postfix(servers):
            yield servers
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(servers: MailServers, sink: int) -> None:
    folder, places = servers.folder, servers.places
    for name in ("sockets", "mail", "spool", "data", "postfix", "dovecot", "sink", "run", "state"):
        (folder / name).mkdir()
    for name, owner in (("mail", USER), ("data", "postfix"), ("sink", USER)):
        shutil.chown(folder / name, owner)
    make_authority(folder, "server")
    text = _DOVECOT.format(folder=folder, imap=servers.imap, pop3=servers.pop3, smtp=servers.smtp)
    (places.dovecot / "dovecot.conf").write_text(text)
    (places.dovecot / "postroom.conf").write_text(dovecot.settings(places))
    places.lua.write_text(dovecot.script(places))
    (places.postfix / "main.cf").write_text(_POSTFIX.format(folder=folder, sink=sink))
    shutil.copy("/usr/share/postfix/master.cf.dist", places.postfix / "master.cf")
    postconf = ("postconf", "-c", str(places.postfix))
    for command in (
        *postfix.commands(places, str(servers.submission), str(servers.submissions)),
        (*postconf, "-M#", "smtp/inet"),
        (*postconf, "-M", f"{servers.smtp}/inet={servers.smtp} inet n - y - - smtpd"),
    ):
        subprocess.run(command, check=True, timeout=PATIENCE)


@contextlib.contextmanager
def _sink(folder: Path, port: int) -> Iterator[None]:
    """Takes whatever goes to other servers, and writes it into files."""
    command = ["smtp-sink", "-u", USER, "-d", f"{folder}/sink/%M.", f"127.0.0.1:{port}", "100"]
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def _dovecot(servers: MailServers) -> Iterator[None]:
    # The sockets for Postfix are in a folder that Postfix makes at its start, with its own owner.
    private = servers.places.spool / "private"
    private.mkdir()
    shutil.chown(private, "postfix", "root")
    private.chmod(0o700)
    command = ["dovecot", "-F", "-c", str(servers.places.dovecot / "dovecot.conf")]
    with subprocess.Popen(command) as process:
        try:
            _wait(servers, servers.imap)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


@contextlib.contextmanager
def _postfix(servers: MailServers) -> Iterator[None]:
    command = ["postfix", "-c", str(servers.places.postfix)]
    subprocess.run([*command, "start"], check=True, timeout=PATIENCE, capture_output=True)
    try:
        _wait(servers, servers.submission)
        yield
    finally:
        subprocess.run([*command, "stop"], check=False, timeout=PATIENCE, capture_output=True)


def _wait(servers: MailServers, port: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError(servers.log())
