"""The sockets for mail servers, in real processes: who keeps them, and what happens when somebody dies."""

import asyncio
import grp
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from postroom.app.config import Config, SettingError, load_config
from postroom.app.limits.clients import DescriptorsError, limits_of
from postroom.app.mail.serving import Bounds
from postroom.app.server.mail_sockets import NAMES, opened
from postroom.app.server.service_socket import ServiceSocketError
from tests.app.test_cli import fails
from tests.app.test_workers import exists, workers_of
from tests.support.mail_sockets import PASSWORD, Admin, Client, activated, serving_mail
from tests.support.waiting import until


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_worker_that_is_killed_only_makes_a_query_wait(tmp_path: Path, workers: str) -> None:
    """The sockets have their mode; a question that comes while there is no worker is answered by the next one; the
    files go with the service.
    """
    mail = tmp_path / "mail"
    with serving_mail(tmp_path, "--workers", workers) as running:
        async with Admin(running) as admin:
            await admin.user(await admin.domain(), "anna", pop3_imap=True)
        for name in NAMES:
            found = (mail / name).lstat()
            assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, os.getgid())
        killed = workers_of(running)
        assert len(killed) == int(workers)
        for pid in killed:
            os.kill(pid, signal.SIGSTOP)
        with Client(mail / "postfix") as postfix, Client(mail / "dovecot") as dovecot:
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            assert postfix.look_up("mailboxes", "anna@example.org") == "OK anna@example.org"
            assert dovecot.line("login", "anna@example.org", PASSWORD, "imap", "192.0.2.1") == "ok\tanna@example.org"
        assert running.stop() == 0
    assert not list(mail.iterdir())


async def test_what_a_crash_has_left_is_taken_over(tmp_path: Path) -> None:
    """Files of a service that was killed with all its processes are no obstacle; those of one that runs are."""
    with serving_mail(tmp_path, "--workers", "2") as running:
        second = fails(tmp_path, "--port", "0", "--database", "b.sqlite3", POSTROOM_MAIL_SOCKETS=str(tmp_path / "mail"))
        assert "another process does" in second
        left = workers_of(running)
        running.stop(signal.SIGKILL)
        await until(lambda: not any(exists(pid) for pid in left))
    assert (tmp_path / "mail" / "postfix").is_socket()
    with serving_mail(tmp_path), Client(tmp_path / "mail" / "postfix") as postfix:
        assert postfix.look_up("domains", "example.org") == "NOTFOUND "


async def test_sockets_that_systemd_keeps(tmp_path: Path) -> None:
    """While the service is away, killed or stopped, questions wait for it; their files are systemd's."""
    with socket.socket(socket.AF_UNIX) as postfix, socket.socket(socket.AF_UNIX) as dovecot:
        sockets = {"postfix": postfix, "dovecot": dovecot}
        for name, each in sockets.items():
            each.bind(str(tmp_path / name))
            each.listen()
        for end in (signal.SIGKILL, signal.SIGTERM):
            with Client(tmp_path / "postfix") as first, activated(tmp_path, sockets) as running:
                assert first.look_up("domains", "example.org") == "NOTFOUND "
                with Client(tmp_path / "dovecot") as second:
                    assert second.line("user", "anna@example.org") == "unknown"
                left = workers_of(running)
                assert len(left) == 1
                running.stop(end)
                await until(lambda left=left: not any(exists(pid) for pid in left))  # type: ignore[misc]
        assert (tmp_path / "postfix").is_socket()


def test_sockets_that_cannot_be(tmp_path: Path) -> None:
    """A folder that is missing, or is none, or has something else in it, a group that nobody has, a database in memory,
    and a path that is too long: one line that says so, before the database is touched.
    """
    (tmp_path / "file").touch()
    (tmp_path / "mail" / "dovecot").mkdir(parents=True)
    line = fails(tmp_path, "--port", "0", POSTROOM_MAIL_SOCKETS="nowhere")
    assert "POSTROOM_MAIL_SOCKETS: there is no folder nowhere" in line
    assert not (tmp_path / "postroom.sqlite3").exists()
    for folder, reason in (("file", "there is no folder"), ("mail", "dovecot: there is a file that is not a socket")):
        with pytest.raises(ServiceSocketError, match=reason), opened(Config(mail_sockets=str(tmp_path / folder)), {}):
            pass
    assert not (tmp_path / "mail" / "postfix").exists()
    for name, text in (("SOCKETS", "x" * 100), ("SOCKETS", "a\0b"), ("DOVECOT_GROUP", "no-such")):
        with pytest.raises(SettingError, match=f"POSTROOM_MAIL_{name}"):
            load_config(environ={f"POSTROOM_MAIL_{name}": text})
    with pytest.raises(SettingError, match="POSTROOM_MAIL_SOCKETS: a database in memory"):
        load_config(environ={"POSTROOM_MAIL_SOCKETS": "mail", "POSTROOM_DATABASE": ":memory:"})


@pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("setpriv"), reason="only root can be somebody with less rights"
)
def test_without_the_rights(tmp_path: Path) -> None:
    """Whoever may not write the folder, or is not in the group, is told so."""
    (tmp_path / "mail").mkdir(0o500)
    group = next(each for each in grp.getgrall() if each.gr_gid not in (0, *os.getgroups()))
    program = """if True:
        import sys
        from postroom.app.config import Config
        from postroom.app.server.mail_sockets import NAMES, opened
        with opened(Config(mail_sockets=sys.argv[1], mail_postfix_group=int(sys.argv[2])), {}):
            pass
    """

    def refused(*lost: str) -> str:
        bounding = ",".join(f"-{each}" for each in lost)
        command = ["setpriv", "--bounding-set", bounding, "--inh-caps", bounding, sys.executable, "-c", program]
        arguments = [str(tmp_path / "mail"), str(group.gr_gid)]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False).stderr

    assert "mail/postfix: Permission denied" in refused("dac_override", "dac_read_search")
    assert f"the user that postroom runs as is not in the group {group.gr_name}" in refused("chown")
    assert not list((tmp_path / "mail").iterdir())


async def test_groups(tmp_path: Path) -> None:
    """Each of the two servers can have a group of its own."""
    if os.getuid() != 0:
        pytest.skip("only root can give files to any group")
    one, other = [each for each in grp.getgrall() if each.gr_gid not in (0, *os.getgroups())][:2]
    groups: dict[str, Any] = {
        "POSTROOM_MAIL_POSTFIX_GROUP": one.gr_name,
        "POSTROOM_MAIL_DOVECOT_GROUP": other.gr_name,
    }
    with serving_mail(tmp_path, **groups):
        found = {
            each.name: (each.stat().st_gid, stat.S_IMODE(each.stat().st_mode)) for each in (tmp_path / "mail").iterdir()
        }
    theirs = (other.gr_gid, 0o660)
    assert found == {"postfix": (one.gr_gid, 0o660), "dovecot": theirs, "dict": theirs}


def test_without_mail_nothing_of_it_is_imported() -> None:
    """Whoever has no mail server pays nothing for those of others."""
    program = (
        "import sys; import postroom.app.cli.main, postroom.app.server.serve, postroom.app.server.workers;"
        "print([name for name in sys.modules if name.startswith('postroom.app.mail')])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


async def test_a_silent_crowd(tmp_path: Path) -> None:
    """500 connections that say nothing or half a request leave others served."""
    with serving_mail(tmp_path):
        crowd = [socket.socket(socket.AF_UNIX) for _ in range(500)]
        for number, each in enumerate(crowd):
            each.connect(str(tmp_path / "mail" / "postfix"))
            if number % 2:
                each.sendall(b"20:mailboxes half")
        with Client(tmp_path / "mail" / "postfix") as postfix:
            for _ in range(20):
                assert postfix.look_up("domains", "example.org") == "NOTFOUND "
                await asyncio.sleep(0)
        for each in crowd:
            each.close()


def test_open_files_are_left_for_mail_servers() -> None:
    """Connections of HTTP clients take none of those that three crowded sockets need."""
    config = load_config(environ={"POSTROOM_MAIL_SOCKETS": "mail"})
    few = limits_of(Config(), 1100).connections - limits_of(config, 1100).connections
    assert few == 3 * Bounds().connections
    with pytest.raises(DescriptorsError):
        limits_of(config, 1000)


def test_a_socket_of_another_kind(tmp_path: Path) -> None:
    """systemd cannot give a socket of the internet by the name of one for mail."""
    with socket.create_server(("127.0.0.1", 0)) as wrong, activated(tmp_path, {"postfix": wrong}) as running:
        assert running.process.wait() == 2
        assert "named postfix that is not a single Unix socket" in "".join(running.lines)


def test_what_systemd_does_not_give_is_made(tmp_path: Path) -> None:
    """One socket of systemd and the others of the settings; only the latter's files are removed at the end."""
    with socket.socket(socket.AF_UNIX) as given:
        given.bind(str(tmp_path / "given"))
        with opened(Config(mail_sockets=str(tmp_path)), {"postfix": given}) as found:
            assert {name: each.path.name for name, each in found.items()} == {
                "postfix": "given", "dovecot": "dovecot", "dict": "dict",
            }  # fmt: skip
    assert [each.name for each in tmp_path.iterdir()] == ["given"]
