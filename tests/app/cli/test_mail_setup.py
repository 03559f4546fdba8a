"""Setting up Postfix and Dovecot: shown, written, checked by both, and taken back."""

import shutil
from pathlib import Path

import pytest

from tests.support.commands import Ran, ran

pytestmark = [
    pytest.mark.mail,
    pytest.mark.skipif(
        not (shutil.which("postconf", path="/usr/sbin:/usr/bin") and Path("/etc/dovecot/conf.d").is_dir()),
        reason="Postfix and Dovecot are not installed",
    ),
]


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """Both servers' settings as Debian installs them."""
    shutil.copytree("/etc/dovecot", tmp_path / "dovecot", ignore=shutil.ignore_patterns("private"))
    (tmp_path / "postfix").mkdir()
    (tmp_path / "spool").mkdir()
    (tmp_path / "postfix" / "main.cf").write_text(f"compatibility_level = 3.6\nqueue_directory = {tmp_path}/spool\n")
    shutil.copy("/usr/share/postfix/master.cf.dist", tmp_path / "postfix" / "master.cf")
    for path in (tmp_path / "dovecot" / "conf.d").glob("10-ssl.conf"):
        path.write_text("ssl = no\n")
    return tmp_path


def places(etc: Path) -> list[str]:
    """The options that name them."""
    return ["--postfix", str(etc / "postfix"), "--dovecot", str(etc / "dovecot")]


def setup(etc: Path, *options: str, given: str = "", user: str = "nobody") -> Ran:
    """One call."""
    own = ["--sockets", str(etc / "sockets"), "--mail", str(etc / "mail"), "--user", user]
    return ran("mail", "setup", *own, *places(etc), *options, given=given)


def texts(etc: Path) -> dict[str, str]:
    """All files."""
    return {str(path.relative_to(etc)): path.read_text() for path in sorted(etc.rglob("*")) if path.is_file()}


def test_shown_and_not_written(etc: Path) -> None:
    """Everything that would be changed is shown as a diff, and nothing is changed."""
    before = texts(etc)
    for result in (setup(etc, "--print"), setup(etc, given="n\n")):
        assert f"+virtual_mailbox_domains = proxy:socketmap:unix:{etc}/sockets/postfix:domains" in result.out
        assert "+#!include auth-system.conf.ext" in result.out
        assert "passdb {" in result.out
        assert texts(etc) == before
    assert setup(etc, given="n\n").code == 2


def test_written_and_taken_back(etc: Path) -> None:
    """Both servers accept what is written; a second setup finds nothing to do; undo leaves everything as it was."""
    before = texts(etc)
    done = setup(etc, "--yes")
    # Neither of them runs with these settings, so neither can be reloaded.
    assert (done.code, "ask postroom" in done.out) == (1, True), done
    assert (etc / "dovecot" / "postroom.lua").exists()
    assert (etc / "dovecot" / "conf.d" / "10-auth.conf.before-postroom").exists()
    assert (setup(etc, "--yes").code, setup(etc, "--yes").out) == (0, "Nothing to do\n")
    taken = ran("mail", "undo", *places(etc), "--yes")
    assert (taken.code, texts(etc)) == (1, before), taken
    again = ran("mail", "undo", *places(etc), "--yes")
    assert (again.code, again.out) == (0, "Nothing to do\n")


def test_what_was_there_is_kept(etc: Path) -> None:
    """The copies are of the time before the first setup, whatever has been changed since."""
    main = etc / "postfix" / "main.cf"
    before = main.read_text()
    setup(etc, "--yes")
    main.write_text(main.read_text() + "mynetworks = 192.0.2.0/24\nrecipient_delimiter = -\n")
    assert setup(etc, "--yes").code == 1
    assert "192.0.2.0/24" in main.read_text()
    ran("mail", "undo", *places(etc), "--yes")
    assert main.read_text() == before


def test_refused_by_a_server(etc: Path) -> None:
    """Settings that a server refuses, for whatever reason, are not left there."""
    (etc / "dovecot" / "conf.d" / "98-own.conf").write_text("no_such_setting = yes\n")
    before = texts(etc)
    refused = setup(etc, "--yes")
    assert (refused.code, "Nothing was changed: doveconf says" in refused.err) == (2, True), refused
    kept = {name: text for name, text in texts(etc).items() if not name.endswith(".before-postroom")}
    assert kept == before


@pytest.mark.parametrize("missing", ["postfix/main.cf", "dovecot/conf.d"])
def test_what_is_missing(etc: Path, missing: str) -> None:
    """The message names it."""
    path = etc / missing
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    refused = setup(etc, "--yes")
    assert refused.code == 2
    assert str(path) in refused.err


def test_missing_account_and_sockets(etc: Path) -> None:
    """The message says what to do."""
    assert "useradd --system" in setup(etc, "--yes", user="nobody-here").err
    refused = ran("mail", "setup", *places(etc), environ={"POSTROOM_MAIL_SOCKETS": None})
    assert (refused.code, "POSTROOM_MAIL_SOCKETS" in refused.err) == (2, True)


def test_modes(etc: Path) -> None:
    """Files keep their modes, and new ones can be read by both servers."""
    main = etc / "postfix" / "main.cf"
    main.chmod(0o640)
    setup(etc, "--yes")
    assert main.stat().st_mode & 0o777 == 0o640
    assert (etc / "dovecot" / "postroom.lua").stat().st_mode & 0o777 == 0o644
    assert not list((etc / "postfix").glob(".*"))
