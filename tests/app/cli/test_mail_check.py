"""postroom mail check, at both places, and beside what mail servers say."""

from pathlib import Path
from typing import Any

import pytest

from postroom.app.cli import mail_live
from tests.support.commands import Command
from tests.support.service import Api

#: Stand-ins for the programs of Postfix and Dovecot: what they answer is in files.
PROGRAMS = {
    "postconf": 'echo "x:$4"',
    "postmap": '[ -e "$2/broken" ] && { echo "no service" >&2; exit 1; }; cat "$2/$5/$4" 2>/dev/null || exit 1',
    "doveadm": 'cat "$(dirname "$2")/users/$5" 2>/dev/null || { echo "no such user" >&2; exit 67; }',
}
ANSWERS = {
    "x:virtual_mailbox_domains/example.org": "yes",
    "x:virtual_mailbox_maps/anna@example.org": "anna@example.org",
    "x:virtual_alias_maps/a@example.org": "anna@example.org",
    "x:smtpd_sender_login_maps/a@example.org": "bert@example.org,anna@example.org",
    "users/anna@example.org": "field\tvalue\nhome\t/var/mail/{folder}\nquota_rule\t*:storage=2048k\n",
}


@pytest.fixture
async def anna(admin: Api) -> str:
    """The path of a user with an alias, a limit and somebody who may send as her."""
    domain = await admin.make_domain("example.org")
    limit = {"storagequotalimit": 2048}
    user = await admin.make_user(domain, "anna", aliases=["a@example.org"], properties=limit, smtp=True)
    await admin.make_user(domain, "bert")
    path = f"/domains/{domain}/users/{user['ID']}"
    await admin.put(f"{path}/sendas", ["bert@example.org"])
    return path


@pytest.fixture
def servers(anna: str, tmp_path: Path, monkeypatch: Any) -> Path:
    """A folder with mail servers that say what postroom says."""
    folder = tmp_path / "servers"
    for name, text in ANSWERS.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text.format(folder=anna.replace("/domains/", "").replace("/users/", "/")))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setattr(mail_live, "PROGRAMS", str(programs))
    return folder


async def test_check(command: Command, admin: Api, anna: str) -> None:
    """Each step is shown, the mailbox, what it replies, and who may send; as JSON, it is what the API says."""
    await admin.put(f"{anna}/oof", {"state": 1, "internalSubject": "Away", "internalReply": "Back\non Monday"})
    shown = await command(
        "mail", "check", "A@example.org", "--from", "bert@example.org", "--as", "anna@example.org", code=1
    )
    for text in (
        "An alias of anna@example.org.", "The mail stays in this mailbox.", "2 MiB", "A colleague gets a reply.",
        "Back on Monday", "anna@example.org, bert@example.org", "no grant lets anna@example.org send as it",
    ):  # fmt: skip
        assert text in shown.out
    assert shown.out.endswith("anna@example.org may not send as bert@example.org\n")
    ran = await command("mail", "check", "a@example.org", "--json")
    assert ran.document["message"] == "All is well"
    assert ran.data == await admin.get("/system/mailCheck?address=a@example.org")
    assert "not accepted" in (await command("mail", "check", "x@example.org", code=1)).out
    await admin.patch(anna, {"forward": {"forwardType": 1, "destination": "x@example.org"}})
    assert "does not arrive at x@example.org" in (await command("mail", "check", "a@example.org", code=1)).out


async def test_live(command: Command, admin: Api, servers: Path) -> None:
    """Servers that say the same are fine; each difference is named, in both directions."""
    where = ("--live", "--postfix", str(servers), "--dovecot", str(servers / "dovecot.conf"))
    same = await command("mail", "check", "a@example.org", *where)
    assert same.out.endswith("All is well\n")
    found = (await command("mail", "check", "a@example.org", *where, "--json")).data["live"]
    assert len(found) == 8
    assert all(each["same"] for each in found)

    (servers / "x:virtual_mailbox_maps/a@example.org").write_text("somebody")
    (servers / "x:virtual_alias_maps/a@example.org").unlink()
    (servers / "x:smtpd_sender_login_maps/a@example.org").write_text("anna@example.org")
    (servers / "users/anna@example.org").write_text("field\tvalue\nhome\t/home/anna\n")
    different = await command("mail", "check", "a@example.org", *where, "--json", code=1)
    assert different.document["message"] == "the servers differ in 5 of 8 answers"
    assert {each["question"]: each["answer"] for each in different.data["live"] if not each["same"]} == {
        "virtual_mailbox_maps: a@example.org": "somebody",
        "virtual_alias_maps: a@example.org": "not found",
        "smtpd_sender_login_maps: a@example.org": "anna@example.org",
        "folder of anna@example.org": "/home/anna",
        "quota of anna@example.org": "no limit",
    }
    shown = await command("mail", "check", "a@example.org", *where, code=1)
    assert "/home/anna" in shown.out

    (servers / "users/nobody@example.org").write_text("field\tvalue\nhome\t/x\n")
    assert "differ in 1" in (await command("mail", "check", "nobody@example.org", *where, code=1)).out
    (servers / "broken").touch()
    assert "no service" in (await command("mail", "check", "a@example.org", *where, code=3)).err


async def test_live_without_servers(command: Command, anna: str, tmp_path: Path, monkeypatch: Any) -> None:
    """A program that is missing is named."""
    monkeypatch.setattr(mail_live, "PROGRAMS", str(tmp_path))
    missing = await command("mail", "check", "anna@example.org", "--live", code=2)
    assert "postconf is not installed" in missing.err
    assert "go with --live" in (await command("mail", "check", "x", "--postfix", "/etc/postfix", code=2)).err
