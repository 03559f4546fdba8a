"""A throw-away OpenLDAP server on the loopback interface, for tests and for the demonstration.

It touches only a temporary folder and needs no special rights.
"""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tests.support.memory_directory import MemorySlapd

from postroom.app.directory.servers import open_session

BASE_DN = "dc=example,dc=com"
PEOPLE_DN = f"ou=people,{BASE_DN}"
BIND_DN = f"cn=admin,{BASE_DN}"
BIND_PASSWORD = "admin-secret"
USER_PASSWORD = "user-secret"

_SCHEMAS = Path("/etc/ldap/schema")
_MODULES = Path("/usr/lib/ldap")
_START_LIMIT = 10.0

_TEXT = "EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15"
_INTEGER = "EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE"
_BYTES = "EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE"
_NAME = "EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 SINGLE-VALUE"

#: The mail attributes of Active Directory, Univention and 389 Directory Server that OpenLDAP lacks.
_EXTRA_ATTRIBUTES = {
    "mailAlias": _TEXT,
    "objectGUID": _BYTES,
    "sAMAccountName": f"{_TEXT} SINGLE-VALUE",
    "objectCategory": f"{_TEXT} SINGLE-VALUE",
    "proxyAddresses": _TEXT,
    "mDBOverHardQuotaLimit": _INTEGER,
    "mDBOverQuotaLimit": _INTEGER,
    "msExchRecipientDisplayType": _INTEGER,
    "department": f"{_TEXT} SINGLE-VALUE",
    "company": f"{_TEXT} SINGLE-VALUE",
    "assistant": _NAME,
    "wWWHomePage": f"{_TEXT} SINGLE-VALUE",
    "otherTelephone": _TEXT,
    "otherHomePhone": _TEXT,
    "otherFacsimileTelephoneNumber": _TEXT,
    **{f"extensionAttribute{number}": f"{_TEXT} SINGLE-VALUE" for number in range(1, 16)},
    "mailPrimaryAddress": f"{_TEXT} SINGLE-VALUE",
    "mailAlternativeAddress": _TEXT,
    "nsUniqueId": f"{_TEXT} SINGLE-VALUE",
    "mailAlternateAddress": _TEXT,
    "pwhistory": _TEXT,
    "mailboxPassword": _TEXT,
}
#: Classes that allow these attributes besides those of inetOrgPerson. The filters of templates require `user`.
_EXTRA_CLASSES = ("mailPerson", "user")
#: OpenLDAP's own, which inetOrgPerson lacks.
_ALSO = ("c", "co")

_ROOT_LDIF = f"""\
dn: {BASE_DN}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: {PEOPLE_DN}
objectClass: organizationalUnit
ou: people
"""


class SlapdError(RuntimeError):
    """slapd is not installed, did not start, or refused a change; the text says which and why."""


class Slapd:
    """A running slapd with an empty `ou=people`; use it as a context manager; `stop()` and `start()` keep
    data.

    With `certificate` (paths of a PEM certificate and its key) it also speaks StartTLS, and LDAPS on
    `ldaps_url`. Without a `port` it takes a free one. `settings` are lines for the database in slapd.conf. `people` is
    how many of people_ldif() are there from the beginning; ten thousand take a second or two.
    """

    def __init__(
        self,
        certificate: tuple[Path, Path] | None = None,
        port: int = 0,
        settings: Sequence[str] = (),
        people: int = 0,
    ) -> None:
        self.base_dn = BASE_DN
        self.people_dn = PEOPLE_DN
        self.bind_dn = BIND_DN
        self.bind_password = BIND_PASSWORD
        self._certificate = certificate
        self._settings = list(settings)
        self._people = people
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self.port, self.ldaps_port = port, 0

    open = staticmethod(open_session)

    @property
    def url(self) -> str:
        """`ldap://127.0.0.1:port`; the port stays the same over stop() and start()."""
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def ldaps_url(self) -> str:
        """`ldaps://127.0.0.1:port`, only with a certificate."""
        return f"ldaps://127.0.0.1:{self.ldaps_port}"

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="slapd-"))
        atexit.register(self.close)
        try:
            self._configure(self._folder)
            self._fill(self._folder)
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Starts the server, unless it runs, and waits until it answers. SlapdError when it does not."""
        if self._process is not None and self._process.poll() is None:
            return
        program = _program("slapd")
        urls = self.url if self._certificate is None else f"{self.url} {self.ldaps_url}"
        folder = self._need_folder()
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-f", str(folder / "slapd.conf"), "-h", urls, "-d", "0"], stdout=log, stderr=log
            )
        limit = time.monotonic() + _START_LIMIT
        while time.monotonic() < limit:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        raise SlapdError(f"slapd did not start: {(folder / 'log').read_text('utf-8', 'replace').strip()}")

    def stop(self) -> None:
        """Ends the server; connections break. Does nothing when it is not running."""
        if self._process is not None:
            self._process.terminate()
            # With SIGTERM slapd first waits for its clients, so the wait is short.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=0.3)
        self._kill()

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def pause(self) -> None:
        """The server keeps its connections and sends nothing until resume()."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """Ends pause()."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Ends the server and removes its files."""
        self._kill()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        atexit.unregister(self.close)

    def add(self, ldif: str) -> None:
        """Adds entries. SlapdError with the server's reason when it refuses."""
        self._run("ldapadd", ldif)

    def load(self, ldif: str) -> None:
        """Adds many entries at once, with a restart of the server. SlapdError with the reason."""
        self.stop()
        done = subprocess.run(
            [_program("slapadd"), "-q", "-f", str(self._need_folder() / "slapd.conf")],
            input=ldif.encode(),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise SlapdError(f"slapadd failed: {done.stderr.decode('utf-8', 'replace').strip()}")
        self.start()

    def modify(self, ldif: str) -> None:
        """Changes entries (`changetype: modify`). SlapdError with the server's reason when it refuses."""
        self._run("ldapmodify", ldif)

    def delete(self, dn: str) -> None:
        """Removes one entry. SlapdError with the server's reason when it refuses."""
        self._run("ldapdelete", f"{dn}\n")

    def _run(self, tool: str, text: str) -> None:
        done = subprocess.run(
            [_program(tool), "-x", "-H", self.url, "-D", BIND_DN, "-w", BIND_PASSWORD],
            input=text.encode(),
            capture_output=True,
            timeout=_START_LIMIT,
            check=False,
        )
        if done.returncode:
            raise SlapdError(f"{tool} failed: {done.stderr.decode('utf-8', 'replace').strip()}")

    def _configure(self, folder: Path) -> None:
        self.port, self.ldaps_port = self.port or free_port(), free_port()
        (folder / "data").mkdir()
        (folder / "extra.schema").write_text(_extra_schema(), "utf-8")
        schemas = [_SCHEMAS / f"{name}.schema" for name in ("core", "cosine", "inetorgperson", "nis")]
        lines = [f"include {path}" for path in (*schemas, folder / "extra.schema")]
        if self._certificate is not None:
            certificate, key = self._certificate
            lines += [f"TLSCertificateFile {certificate}", f"TLSCertificateKeyFile {key}"]
        if list(_MODULES.glob("back_mdb*")):
            lines += [f"modulepath {_MODULES}", "moduleload back_mdb"]
        lines += [
            f"pidfile {folder / 'pid'}",
            "database mdb",
            f"suffix {BASE_DN}",
            f"rootdn {BIND_DN}",
            f"rootpw {BIND_PASSWORD}",
            f"directory {folder / 'data'}",
            "maxsize 268435456",
            # Throw-away data: waiting for the disk would only slow the tests.
            "dbnosync",
            "index objectClass,entryUUID,objectGUID,uid,mail eq",
            "access to attrs=userPassword by anonymous auth by * none",
            "access to * by users read by anonymous auth",
            *self._settings,
        ]
        (folder / "slapd.conf").write_text("\n".join(lines) + "\n", "utf-8")

    def _fill(self, folder: Path) -> None:
        # Several times as fast as adding over LDAP; it needs no server.
        done = subprocess.run(
            [_program("slapadd"), "-q", "-f", str(folder / "slapd.conf")],
            input=f"{_ROOT_LDIF}\n{people_ldif(self._people)}".encode(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise SlapdError(f"slapadd failed: {done.stderr.decode('utf-8', 'replace').strip()}")

    def _need_folder(self) -> Path:
        if self._folder is None:
            raise SlapdError("The server is used outside its with block")
        return self._folder


def _extra_schema() -> str:
    names = enumerate(_EXTRA_ATTRIBUTES.items(), 1)
    lines = [
        f"attributetype ( 1.3.6.1.4.1.4203.666.77.1.{number} NAME '{name}' {rest} )" for number, (name, rest) in names
    ]
    may = " $ ".join((*_EXTRA_ATTRIBUTES, *_ALSO))
    lines += [
        f"objectclass ( 1.3.6.1.4.1.4203.666.77.2.{number} NAME '{name}' SUP top AUXILIARY MAY ( {may} ) )"
        for number, name in enumerate(_EXTRA_CLASSES, 1)
    ]
    return "\n".join(lines) + "\n"


def _program(name: str) -> str:
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/usr/local/libexec"))
    found = shutil.which(name, path=path)
    if found is None:
        raise SlapdError(f"{name} is not installed: it comes with the Debian packages slapd and ldap-utils")
    return found


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    # Below those that the system gives to clients and to servers without a wish: before a server has started, or while
    # it is stopped, another test would get the same.
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", SystemRandom().randrange(10_000, 32_000)))
            return int(probe.getsockname()[1])


_GIVEN = [
    "Jürgen",
    "Anna",
    "Søren",
    "Zoë",
    "Karl-Heinz",
    "Amélie",
    "Łukasz",
    "Ines",
    "Peter",
    "Çelik",
    "Maria",
    "Jörg",
]
_FAMILY = [
    "Müller",
    "Schmidt",
    "Ærø",
    "Weiß",
    "Öztürk",
    "Dupré",
    "Wójcik",
    "Núñez",
    "Groß",
    "Åberg",
    "Huber",
    "Voß",
]
_TITLES = ["Managing director", "Bookkeeper", "Engineer", "Sales", "Support", "Trainee"]
_PLACES = [("Wien", "1010", "Ring 1"), ("Köln", "50667", "Domplatz 4"), ("Zürich", "8001", "Limmatquai 12")]
_FOLD = str.maketrans(
    {"ü": "ue", "ö": "oe", "ä": "ae", "ß": "ss", "ø": "o", "æ": "ae", "ë": "e", "é": "e", "ł": "l", "ç": "c"}
    | {"ó": "o", "ú": "u", "ñ": "n", "å": "a"}
)


def people_ldif(count: int) -> str:
    """LDIF of `count` people below ou=people, the same ones every time; every password is USER_PASSWORD.

    Their addresses are `given.family@example.com`, with a number from the 145th on. Some have aliases (with
    prefixes as in Windows directories), two mail values, several telephone numbers, or hardly anything at
    all.
    """
    return "\n".join(_person(number) for number in range(count))


def _person(number: int) -> str:
    size = len(_GIVEN)
    given = _GIVEN[number % size]
    family = _FAMILY[(number + number // size) % size]
    login = f"{given}.{family}".lower().translate(_FOLD)
    if number >= size * size:
        login += str(number)
    town, code, street = _PLACES[number % len(_PLACES)]
    values = [
        ("dn", f"uid={login},{PEOPLE_DN}"),
        ("objectClass", "inetOrgPerson"),
        ("objectClass", "mailPerson"),
        ("uid", login),
        ("cn", f"{given} {family}"),
        ("sn", family),
        ("mail", f"{login}@example.com"),
        ("userPassword", USER_PASSWORD),
    ]
    if number % 6 != 5:
        values += [
            ("givenName", given),
            ("displayName", f"{given} {family}"),
            ("title", _TITLES[number % len(_TITLES)]),
            ("telephoneNumber", f"+43 1 555 {1000 + number}"),
            ("l", town),
            ("postalCode", code),
            ("street", street),
            ("employeeNumber", str(4000 + number)),
            ("departmentNumber", str(10 + number % 4)),
        ]
    if number % 3 == 0:
        values += [
            ("mailAlias", f"SMTP:{login}@example.com"),
            ("mailAlias", f"smtp:{login}.alias@example.com"),
        ]
    if number % 4 == 1:
        values += [("mail", f"{login}.second@example.com"), ("telephoneNumber", f"+43 1 555 {5000 + number}")]
    return "\n".join(f"{name}: {value}" for name, value in values) + "\n"


def config_document(server: "Slapd | MemorySlapd") -> dict[str, Any]:
    """An `ldapConfig` document with which the people of people_ldif() are found and mapped."""
    return {
        "disabled": False,
        "connection": {
            "server": server.url,
            "bindUser": server.bind_dn,
            "bindPass": server.bind_password,
            "starttls": False,
        },
        "baseDn": server.people_dn,
        "objectID": "entryUUID",
        "users": {
            "username": "mail",
            "displayName": "displayName",
            "filter": "(objectClass=inetOrgPerson)",
            "searchAttributes": ["mail", "cn", "displayName", "uid"],
            "templates": ["common", "OpenLDAP"],
            "attributes": {"mDBOverHardQuotaLimit": "storagequotalimit"},
            "aliases": "mailAlias",
            "defaultQuota": 1048576,
        },
    }
