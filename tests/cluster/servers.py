"""Three PostgreSQL servers under Patroni, with etcd: on the loopback interface, in a temporary folder.

Nothing needs special rights; root, as whom PostgreSQL refuses to run, lends the folder to an unprivileged account.
"""

import json
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self
from urllib.request import urlopen

import psutil
import psycopg
from psycopg.sql import SQL, Identifier

from tests.support.postgresql import programs
from tests.support.slapd import free_port

NAMES: Final = ("ada", "bea", "cleo")
DATABASE: Final = "postroom"
PASSWORD: Final = "cluster-secret"
#: Seconds of Patroni: how long a leader that shows no life keeps its place (20 is the least that Patroni allows), and
#: how often each member looks.
TTL: Final = 20
LOOP_WAIT: Final = 2
_START_LIMIT: Final = 60.0

#: Kills everything that works in the folder ($1) and removes it when standard input ends, so also when whoever has
#: started the cluster is killed.
_GUARD: Final = """
trap '' INT TERM HUP
read -r _
for round in 1 2 3; do
    for each in /proc/[0-9]*; do
        case "$(readlink "$each/cwd")" in "$1"|"$1"/*) kill -KILL "${each#/proc/}";; esac
    done
    sleep 0.1
done
rm -rf "$1"
"""


class ClusterError(RuntimeError):
    """The cluster cannot be started, or does not recover; the text says why."""


def missing() -> list[str]:
    """The Debian packages that are not there."""
    needed = {"patroni": shutil.which("patroni"), "etcd-server": shutil.which("etcd")}
    return [package for package, found in needed.items() if found is None]


class Member:
    """One server: a Patroni and its PostgreSQL."""

    def __init__(self, cluster: "Cluster", name: str) -> None:
        self.name = name
        self.port, self.api = free_port(), free_port()
        self._cluster = cluster
        self._folder = cluster.folder / name
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts Patroni, unless it runs; it starts PostgreSQL."""
        if self._process is None or self._process.poll() is not None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._cluster.lend(self._folder)
            file = self._folder / "patroni.json"
            file.write_text(json.dumps(self._settings()))
            self._cluster.lend(file)
            self._process = self._cluster.spawn(self.name, "patroni", str(file))

    def kill(self, *, patroni: bool) -> None:
        """Kills PostgreSQL and all of its processes with SIGKILL, and before them Patroni if it is to go, too."""
        if patroni and self._process is not None:
            self._process.kill()
            self._process.wait()
        with suppress(OSError, ValueError, psutil.NoSuchProcess):
            pid = int((self._folder / "data" / "postmaster.pid").read_text("ascii").split()[0])
            server = psutil.Process(pid)
            everyone = [server, *server.children(recursive=True)]
            for each in everyone:
                with suppress(psutil.NoSuchProcess):
                    each.kill()

    def state(self) -> dict[str, Any]:
        """What its Patroni says of the cluster; empty when it does not answer."""
        with suppress(OSError, ValueError):
            return dict(json.loads(_fetched(f"http://127.0.0.1:{self.api}/cluster")))
        return {}

    def _settings(self) -> dict[str, Any]:
        account = {"password": PASSWORD}
        return {
            "scope": "postroom",
            "name": self.name,
            "restapi": {"listen": f"127.0.0.1:{self.api}", "connect_address": f"127.0.0.1:{self.api}"},
            "etcd3": {"hosts": f"127.0.0.1:{self._cluster.etcd_port}"},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL,
                    "loop_wait": LOOP_WAIT,
                    "retry_timeout": 5,
                    "maximum_lag_on_failover": 1 << 20,
                    # A primary whose PostgreSQL was killed gives way to its standby at once.
                    "primary_start_timeout": 0,
                    "master_start_timeout": 0,
                    "synchronous_mode": True,
                    "postgresql": {
                        "use_pg_rewind": True,
                        "parameters": {"synchronous_commit": "on", "max_connections": 100, "shared_buffers": "32MB"},
                    },
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": f"127.0.0.1:{self.port}",
                "data_dir": str(self._folder / "data"),
                "bin_dir": str(programs()),
                "pgpass": str(self._folder / "pgpass"),
                "pg_hba": [
                    "host all all 127.0.0.1/32 scram-sha-256",
                    "host replication all 127.0.0.1/32 scram-sha-256",
                ],
                "authentication": {
                    "superuser": {"username": "postgres", **account},
                    "replication": {"username": "replicator", **account},
                    "rewind": {"username": "rewinder", **account},
                },
                "parameters": {
                    "unix_socket_directories": "",
                    # In the folder: nothing is left behind by a server that is killed.
                    "dynamic_shared_memory_type": "mmap",
                },
            },
            "watchdog": {"mode": "off"},
        }


class Cluster:
    """A running cluster; use it as a context manager."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cluster-"))
        self.etcd_port, self._peer_port = free_port(), free_port()
        self._started: list[subprocess.Popen[bytes]] = []
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(self.folder)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.members = [Member(self, name) for name in NAMES]

    def __enter__(self) -> Self:
        self.lend(self.folder)
        try:
            self._start_etcd()
            for member in self.members:
                member.start()
            self.wait(_START_LIMIT)
            self._make_database()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kills everything and removes the folder."""
        self._guard.communicate()
        for process in self._started:
            process.wait()

    @property
    def url(self) -> str:
        """What postroom gets: all servers, of which it takes the primary."""
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self.members)
        return f"postgresql://postroom:{PASSWORD}@{hosts}/{DATABASE}"

    @property
    def own(self) -> Path:
        """A folder for the account that runs this."""
        folder = self.folder / "postroom"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    @property
    def primary(self) -> Member:
        """The primary, as most of Patroni knows it."""
        for state in filter(None, (member.state() for member in self.members)):
            for each in state["members"]:
                if each["role"] == "leader" and each["state"] == "running":
                    return next(member for member in self.members if member.name == each["name"])
        raise ClusterError("There is no primary")

    def is_whole(self) -> bool:
        """Whether there is a primary, and two standbys that stream, one of them synchronously."""
        for state in filter(None, (member.state() for member in self.members)):
            found = sorted((each["role"], each["state"]) for each in state["members"])
            alive = [role for role, how in found if how in ("running", "streaming")]
            # "running" is what older versions of Patroni say of a standby that streams.
            if sorted(alive) == ["leader", "replica", "sync_standby"]:
                lags = [each.get("lag", 0) for each in state["members"]]
                return all(isinstance(lag, int) for lag in lags)
        return False

    def wait(self, seconds: float) -> None:
        """Waits until it is whole. Raises ClusterError."""
        until = time.monotonic() + seconds
        while not self.is_whole():
            if time.monotonic() > until:
                raise ClusterError(f"The cluster is not whole: {[member.state() for member in self.members]}")
            time.sleep(0.2)

    def lend(self, path: Path) -> None:
        """Gives a file or folder to the account that runs the servers."""
        if account := _account():
            os.chown(path, account.pw_uid, account.pw_gid)

    def spawn(self, name: str, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts a server of the cluster; it writes to `<name>.log`."""
        account = _account()
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
                start_new_session=True,
                user=account and account.pw_uid,
                group=account and account.pw_gid,
                extra_groups=account and [],
            )
        self._started.append(process)
        return process

    def _start_etcd(self) -> None:
        here, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        self.spawn(
            "etcd", "etcd", "--data-dir", str(self.folder / "etcd"), "--listen-client-urls", here,
            "--advertise-client-urls", here, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"default={peer}", "--unsafe-no-fsync",
        )  # fmt: skip
        until = time.monotonic() + _START_LIMIT
        while time.monotonic() < until:
            with suppress(OSError):
                _fetched(f"{here}/health")
                return
            time.sleep(0.1)
        raise ClusterError(f"etcd did not start: {(self.folder / 'etcd.log').read_text('utf-8', 'replace')[-500:]}")

    def _make_database(self) -> None:
        url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.primary.port}/postgres"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(SQL("CREATE ROLE postroom LOGIN PASSWORD {}").format(PASSWORD))
            connection.execute(SQL("CREATE DATABASE {} OWNER postroom").format(Identifier(DATABASE)))


def _fetched(url: str) -> bytes:
    with urlopen(url, timeout=2) as body:  # noqa: S310 - ours
        return bytes(body.read())


def _account() -> pwd.struct_passwd | None:
    """Who runs the servers, None for whoever runs this."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
