"""Asks the running Postfix and Dovecot what the check of an address has asked postroom, and compares."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from postroom.app.cli.api import CommandError
from postroom.app.cli.output import AWAY
from postroom.app.mail.setup.places import PROGRAMS

#: Seconds for each question. Postfix and Dovecot wait for postroom, too.
PATIENCE: Final = 60
#: Exit codes: of postmap for "not found", of doveadm for "no such user" (EX_NOUSER).
_NOT_FOUND, _NO_USER = 1, 67

_DOMAINS, _MAILBOXES = "virtual_mailbox_domains", "virtual_mailbox_maps"
_ALIASES, _SENDERS = "virtual_alias_maps", "smtpd_sender_login_maps"
#: Fields of a user in which Dovecot has a limit in KiB: of 2.3 and of 2.4.
_QUOTAS: Final = ("quota_rule", "quota_storage_size")
_NOTHING: Final = "not found"


class Question(NamedTuple):
    """What a server is asked, and what it should say; both as text for people."""

    server: str
    question: str
    expected: str
    answer: str

    def shown(self) -> dict[str, Any]:
        """As in the document of --json."""
        return {**self._asdict(), "same": self.expected == self.answer}


async def compare(found: dict[str, Any], postfix: str | None, dovecot: str | None) -> list[dict[str, Any]]:
    """The answers of both servers, beside what they should be. Raises CommandError when there is none."""
    questions = [each async for each in _ask_postfix(found, () if postfix is None else ("-c", postfix))]
    questions += [each async for each in _ask_dovecot(found, () if dovecot is None else ("-c", dovecot))]
    return [each.shown() for each in questions]


async def _ask_postfix(found: dict[str, Any], settings: Sequence[str]) -> AsyncIterator[Question]:
    maps = {name: await _maps(name, settings) for name in (_DOMAINS, _MAILBOXES, _ALIASES, _SENDERS)}

    async def question(name: str, key: str, expected: Iterable[str] | None) -> Question:
        answer = await _look_up(maps[name], key, settings)
        if name == _DOMAINS and answer != _NOTHING:
            answer = key  # any value will do
        return Question("Postfix", f"{name}: {key}", _NOTHING if expected is None else _sorted(expected), answer)

    # Who gets no mail has no domain, either, or one of other servers.
    steps = [step for step in found["steps"] if step["kind"] not in ("invalid", "endless")]
    known = {step["address"].rpartition("@")[2]: step["kind"] not in ("domain", "outside") for step in steps}
    for domain, is_known in known.items():
        yield await question(_DOMAINS, domain, [domain] if is_known else None)
    for step in steps:
        if step["kind"] in ("outside", "detail"):
            continue
        has_mailbox = step["kind"] in ("mailbox", "copy", "circle", "redirect")
        yield await question(_MAILBOXES, step["address"], [step["username"]] if has_mailbox else None)
        yield await question(_ALIASES, step["address"], step["targets"] or None)
    if steps:
        yield await question(_SENDERS, found["address"], found["senders"] or None)


async def _ask_dovecot(found: dict[str, Any], settings: Sequence[str]) -> AsyncIterator[Question]:
    for mailbox in found["mailboxes"]:
        name, limit = mailbox["username"], mailbox["quotaKiB"]
        fields = await _user(name, settings)
        home = fields.get("home", _NOTHING)
        folder = mailbox["folder"]
        place = folder if home.endswith(f"/{folder}") else home
        yield Question("Dovecot", f"folder of {name}", folder, place)
        expected = "no limit" if limit is None else f"{limit} KiB"
        yield Question("Dovecot", f"quota of {name}", expected, _quota(fields))
    for step in found["steps"]:
        # doveadm would take such a name for a pattern.
        if step["kind"] in ("unknown", "outside") and not re.search(r"[*?]", step["address"]):
            answer = "user" if await _user(step["address"], settings) else _NOTHING
            yield Question("Dovecot", f"user {step['address']}", _NOTHING, answer)


async def _maps(name: str, settings: Sequence[str]) -> list[str]:
    code, text, error = await _run("postconf", *settings, "-xh", name)
    if code != 0:
        raise CommandError(f"Postfix cannot be asked: {error}", AWAY)
    return list(_split(text))


def _split(text: str) -> Iterator[str]:
    """The parts of a list; what is in braces stays together, as in Postfix."""
    part, depth = "", 0
    for character in text:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth > 0 or not (character == "," or character.isspace()):
            part += character
        elif part:
            yield part
            part = ""
    if part:
        yield part


async def _look_up(maps: Sequence[str], key: str, settings: Sequence[str]) -> str:
    """The answer of the first map that has one. Raises CommandError."""
    for each in maps:
        if ":" not in each:  # a name in the list itself
            if each == key:
                return key
            continue
        code, text, error = await _run("postmap", *settings, "-q", key, each)
        if code == 0:
            return _sorted(re.split(r"[,\s]+", text.strip()))
        if code != _NOT_FOUND or error:
            raise CommandError(f"Postfix cannot be asked for {key} in {each}: {error}", AWAY)
    return _NOTHING


async def _user(name: str, settings: Sequence[str]) -> dict[str, str]:
    """Dovecot's fields of a user; empty when it has none. Raises CommandError."""
    code, text, error = await _run("doveadm", *settings, "user", "--", name)
    if code == _NO_USER:
        return {}
    if code != 0:
        raise CommandError(f"Dovecot cannot be asked for {name}: {error}", AWAY)
    return dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)


def _quota(fields: dict[str, str]) -> str:
    rule = next((fields[name] for name in _QUOTAS if name in fields), None)
    if rule is None:
        return "no limit"
    number = re.search(r"(\d+)\s*[kK]", rule)
    return rule if number is None else f"{number[1]} KiB"


def _sorted(texts: Iterable[str]) -> str:
    return ", ".join(sorted(texts))


async def _run(program: str, *arguments: str) -> tuple[int, str, str]:
    """(exit code, output, errors). Raises CommandError when it cannot be run or does not end."""
    path = shutil.which(program, path=PROGRAMS)
    if path is None:
        raise CommandError(f"{program} is not installed on this machine")
    process = await asyncio.create_subprocess_exec(
        path,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise CommandError(f"{program} has not answered within {PATIENCE} seconds", AWAY) from None
    return process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace").strip()[:500]
