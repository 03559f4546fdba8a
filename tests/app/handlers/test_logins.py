"""What a login that fails tells (nothing), and how often and how many at once are looked at."""

import ast
import asyncio
import json
import os
import random
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import legacycrypt
import pytest

from postroom.app.auth import passwords
from postroom.app.auth.passwords import Passwords, verify_hash
from postroom.app.routes import ROUTES
from postroom.app.web.routing import Route
from postroom.storage.sqlite import sqlite3
from tests.conftest import StartService
from tests.demo import PASSWORD, running_postroom
from tests.support.certificates import make_authority
from tests.support.faults import fault_server
from tests.support.people import CONFIG, add_person, document
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Answer, Api, Service
from tests.support.slapd import USER_PASSWORD as LDAP_PASSWORD
from tests.support.slapd import Slapd

pytestmark = pytest.mark.attack

ROLE = ("DomainAdmin", {"everything": True})
ROOT = Path(__file__).parents[3]
FORWARDED = "X-Forwarded-For"

#: Logins that fail, by what is wrong with them.
FAILURES = {
    "unknown": ("nobody@example.com", "wrong"),
    "unknown and short": ("nobody", "wrong"),
    "of an unknown domain": ("nobody@elsewhere.org", "wrong"),
    "wrong": ("local@example.com", "wrong"),
    "the administrator's": ("admin", "wrong"),
    "suspended": ("suspended@example.com", USER_PASSWORD),
    "without a role": ("norole@example.com", USER_PASSWORD),
    "without a password": ("shared@example.com", ""),
    "foreign hash": ("foreign@example.com", "wrong"),
    "linked": ("linked@example.com", "wrong"),
    "linked and suspended": ("gone@example.com", LDAP_PASSWORD),
    "linked, by the altname": ("short", "wrong"),
    "linked, empty": ("linked@example.com", ""),
    "unknown, empty": ("nobody@example.com", ""),
}


@pytest.fixture
def slapd() -> Iterator[Slapd]:
    """A directory of the test's own."""
    with Slapd() as server:
        yield server


async def populate(service: Service, slapd: Slapd, where: str = "all") -> str:
    """Everybody whom FAILURES names, linked to a directory for all or of an organisation; returns its configuration."""
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain, config = await admin.make_domain("example.com"), CONFIG
    if where == "organisation":
        org_id = (await admin.post("/system/orgs", {"name": "Org", "domains": [domain]}))["ID"]
        config = f"/system/orgs/{org_id}/ldap"
    await admin.put(config, document(slapd))
    users = {name: (await admin.make_user(domain, name))["ID"] for name in ("local", "suspended", "norole", "foreign")}
    await admin.make_user(domain, "shared", status=4)
    for name in ("linked", "gone"):
        add_person(slapd, name, f"userPassword: {LDAP_PASSWORD}")
        found = await admin.post("/domains/ldap/importUser", params={"ID": name, "domain": str(domain)})
        users[name] = found["ID"]
    role = {"name": "All", "permissions": [{"permission": "SystemAdmin", "params": None}]}
    await admin.post("/system/roles", {**role, "users": [users[name] for name in users if name != "norole"]})
    for name in ("suspended", "gone"):
        await admin.patch(f"/domains/{domain}/users/{users[name]}", {"status": 1})
    await admin.patch(f"/domains/{domain}/users/{users['linked']}", {"altnames": [{"altname": "short"}]})
    foreign = legacycrypt.crypt(USER_PASSWORD, "$6$rounds=1000$saltsalt")

    def plant(connection: Any) -> None:
        connection.execute("UPDATE users SET password = ? WHERE id = ?", (foreign, users["foreign"]))

    await service.context.database.write(plant)
    return config


async def log_in(service: Service, name: str, password: str = "wrong", **headers: str) -> Answer:  # noqa: S107
    """One login."""
    return await service.api.call("POST", "/login", {"user": name, "pass": password}, headers=headers)


async def failures(service: Service) -> set[tuple[int, str]]:
    """Each different answer to the logins that fail."""
    answers = await asyncio.gather(*(log_in(service, *given) for given in FAILURES.values()))
    return {(answer.status, str(answer.body)) for answer in answers}


@pytest.mark.slapd
@pytest.mark.parametrize("where", ["all", "organisation"])
async def test_a_failed_login_tells_nothing(start_service: StartService, slapd: Slapd, where: str) -> None:
    """Whatever is wrong, the answer is one and the same: with a directory, with one that is away, with one that hangs,
    with one that is switched off; and who has a good local password gets in all the time.
    """
    service = await start_service(ldap_timeout=0.6)
    config = await populate(service, slapd, where)
    denied = (401, str({"message": "Login failed", "error": "Invalid username or password"}))
    away = (503, str({"message": "Logins cannot be checked at the moment; try again later"}))
    local = ("local@example.com", USER_PASSWORD)
    if where == "organisation":
        # Of a domain without the organisation nobody is in its directory.
        elsewhere = FAILURES["of an unknown domain"]
        slapd.stop()
        assert (await log_in(service, *elsewhere)).status == 401
        slapd.start()
    known = {name: given for name, given in FAILURES.items() if where == "all" or name != "of an unknown domain"}

    async def answers() -> set[tuple[int, str]]:
        found = await asyncio.gather(*(log_in(service, *given) for given in known.values()))
        return {(answer.status, str(answer.body)) for answer in found}

    assert await answers() == {denied}
    assert (await log_in(service, "linked@example.com", LDAP_PASSWORD)).status == 200
    assert (await log_in(service, "SHORT", LDAP_PASSWORD)).status == 200
    slapd.stop()
    assert await answers() == {away}
    assert (await log_in(service, "linked@example.com", LDAP_PASSWORD)).status == 503
    assert (await log_in(service, *local)).status == 200
    admin = await service.login("admin", ADMIN_PASSWORD)
    async with fault_server("silent") as silent:
        hanging = document(slapd)
        hanging["connection"] = {**hanging["connection"], "server": f"ldap://{silent}"}
        await admin.put(config, hanging, params={"force": "true"})
        # One after the other: with many at once some would be asked for with the timeout of those before them.
        found = [await log_in(service, *known[each]) for each in ("unknown", "wrong", "linked", "suspended")]
        assert {(answer.status, str(answer.body)) for answer in found} == {away}
        assert (await log_in(service, *local)).status == 200
    await admin.put(config, {**document(slapd), "disabled": True}, params={"force": "true"})
    assert await answers() == {denied}
    await admin.delete(config)
    assert await answers() == {denied}


@pytest.mark.slapd
@pytest.mark.parametrize("fault", ["password", "certificates"])
async def test_a_directory_that_cannot_be_used_tells_nothing(
    start_service: StartService, slapd: Slapd, tmp_path: Path, fault: str
) -> None:
    """A stored bind password that cannot be decrypted, or certificates that are gone, look like a directory that is
    away: to every visitor the same, without the reason. A good local password still works."""
    trusted, _ = make_authority(tmp_path)
    service = await start_service(ldap_ca_file=str(trusted))
    config = await populate(service, slapd)
    if fault == "password":
        await service.context.database.write(forget_bind_passwords)
    else:
        trusted.unlink()
        admin = await service.login("admin", ADMIN_PASSWORD)
        await admin.put(config, document(slapd), params={"force": "true"})
    found = await asyncio.gather(*(log_in(service, *given) for given in FAILURES.values()))
    found.append(await log_in(service, "linked@example.com", LDAP_PASSWORD))
    away = (503, {"message": "Logins cannot be checked at the moment; try again later"})
    assert [(answer.status, answer.body) for answer in found] == [away] * len(found)
    assert (await log_in(service, "local@example.com", USER_PASSWORD)).status == 200


@pytest.mark.slapd
async def test_a_directory_that_cannot_be_used_keeps_nobody_else_out(service: Service, slapd: Slapd) -> None:
    """Who is known to a directory that works logs in by a name that others could know, too."""
    await populate(service, slapd, "organisation")
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.put(CONFIG, document(slapd))
    await service.context.database.write(forget_bind_passwords, "org_id IS NULL")
    assert (await log_in(service, "short", LDAP_PASSWORD)).status == 200
    assert (await log_in(service, "short")).status == 503


def forget_bind_passwords(connection: sqlite3.Connection, where: str = "TRUE") -> None:
    """No stored bind password can be decrypted any more."""
    connection.execute(f"UPDATE ldap_configs SET bind_pass = 'sealed:forgotten' WHERE {where}")


@pytest.mark.slapd
async def test_no_password_goes_to_a_directory_for_nothing(
    service: Service, slapd: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For who is not linked the directory is asked about nobody, with a password that nobody typed."""
    from postroom.app.directory.pool import Pool

    await populate(service, slapd)
    told: list[tuple[str | None, str | None]] = []
    opens = Pool.open

    async def listen(self: Pool, user: str | None, password: str | None, deadline: float) -> Any:
        told.append((user, password))
        return await opens(self, user, password, deadline)

    monkeypatch.setattr(Pool, "open", listen)
    for name, password in FAILURES.values():
        await log_in(service, name, password)
    asked = [(user, password) for user, password in told if user != slapd.bind_dn]
    assert len(asked) == len(FAILURES)
    assert {user for user, password in asked if password in {given for _, given in FAILURES.values()}} == {
        f"uid=linked,{slapd.people_dn}", f"uid=gone,{slapd.people_dn}"
    }  # fmt: skip


def told_apart(one: list[float], other: list[float]) -> float:
    """How well the best threshold in time tells the two apart: 0.5 not at all, 1 always (area under the ROC curve)."""
    better = sum((a > b) + (a == b) / 2 for a in one for b in other) / (len(one) * len(other))
    return max(better, 1 - better)


async def times(service: Service, kinds: Collection[str], each: int, at_once: int) -> dict[str, list[float]]:
    """How long each of these failures takes, in seconds, in a random order."""
    order = [*kinds] * each
    random.Random(1).shuffle(order)  # noqa: S311 - the same in each run
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}

    async def take(waiting: Iterator[str]) -> None:
        for kind in waiting:
            started = time.perf_counter()
            answer = await log_in(service, *FAILURES[kind])
            taken[kind].append(time.perf_counter() - started)
            assert answer.status == 401

    waiting = iter(order)
    await asyncio.gather(*(take(waiting) for _ in range(at_once)))
    return taken


@pytest.mark.slapd
@pytest.mark.timeout(900)
@pytest.mark.parametrize("tries", [140, pytest.param(2100, marks=pytest.mark.slow)])
async def test_time_tells_nothing(start_service: StartService, slapd: Slapd, tries: int) -> None:
    """No two of the ways to fail can be told apart by how long they take."""
    service = await start_service(login_failures=0)
    await populate(service, slapd)
    each = tries // len(FAILURES)
    taken = await times(service, FAILURES, each, 4)
    # Four and a half standard errors of the area for two samples of this size of the same distribution; there are 91
    # pairs of ways to fail.
    bound = 0.5 + 4.5 * ((2 * each + 1) / (12 * each * each)) ** 0.5
    apart = {(one, other): told_apart(taken[one], taken[other]) for one in taken for other in taken if one < other}
    worst = max(apart, key=lambda pair: apart[pair])
    medians = {kind: round(median(taken[kind]) * 1000, 1) for kind in taken}
    print(f"{tries} tries, worst pair {worst}: {apart[worst]:.3f} (bound {bound:.3f}); medians in ms: {medians}")
    assert apart[worst] < bound, (worst, medians)


async def test_time_would_tell(service: Service, admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same measurement tells a foreign hash when nothing is levelled: it is not blind."""
    monkeypatch.setattr(Passwords, "failure_step", 0.0001)
    monkeypatch.setattr(passwords, "_verify_evenly", verify_hash)
    monkeypatch.setattr(service.context.throttle, "_off", True)
    user = await admin.make_user(domain, "foreign")
    foreign = legacycrypt.crypt(USER_PASSWORD, "$6$rounds=1000$saltsalt")

    def plant(connection: Any) -> None:
        connection.execute("UPDATE users SET password = ? WHERE id = ?", (foreign, user["ID"]))

    await service.context.database.write(plant)
    taken: dict[str, list[float]] = {"foreign@example.org": [], "nobody@example.org": []}
    for _ in range(60):
        for name, times_taken in taken.items():
            started = time.perf_counter()
            assert (await log_in(service, name)).status == 401
            times_taken.append(time.perf_counter() - started)
    assert told_apart(*taken.values()) > 0.7


async def test_one_password_is_checked_in_one_place() -> None:
    """Nobody but app/services/logins.py, which throttles, checks a password; and the start of the service its own."""
    checks = set()
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in ("verify", "authenticate")
                and "self" not in ast.unparse(node)
            ):
                checks.add((str(path.relative_to(ROOT)), ast.unparse(node)))
    assert checks == {
        ("app/services/logins.py", "context.passwords.verify"),
        ("app/services/logins.py", "directory.authenticate"),
        ("app/mail/dovecot.py", "mail_logins.verify"),  # which asks app/services/logins.py
        ("app/main.py", "passwords.verify"),
        ("app/auth/passwords.py", "_HASHER.verify"),
        ("app/cli/backup.py", "verifying.verify"),  # a backup
    }


#: Operation -> how to send it a wrong password; of those that set one there is nothing to guess.
GUESSES: dict[str, tuple[str, dict[str, Any]]] = {
    "postLogin": ("/login", {"user": "admin", "pass": "wrong"}),
    "postMyLogin": ("/me/login", {"user": "admin", "pass": "wrong"}),
    "putPasswd": ("/passwd", {"old": "wrong", "new": "another password"}),
    "postDeviceWipe": ("/domains/1/users/1/sync/phone/wipe", {"password": "wrong"}),
    "setUserDeviceWipeStatus": ("/service/wipe/jane@example.org?devices=phone", {"status": 2, "password": "wrong"}),
}
#: The administrator has no device. It is the same function as postDeviceWipe.
OF_USERS = {"postMyDeviceWipe"}
SET = {"postUser", "setPassword", "resetPasswd"}


def takes_password(route: Route) -> bool:
    """Whether the body of an operation has a password at its top."""
    entries = vars(route.handler).get("__apispec__", {}).get("schemas", [])
    schemas = [each["schema"] for each in entries if each["location"] in ("json", "form")]
    return any({"pass", "old", "new", "password"} & set(schema.fields) for schema in schemas)


def test_whatever_takes_a_password_is_known_here() -> None:
    """An operation that takes a password guesses or sets one; a new one has to say which."""
    found = {vars(route.handler)["__apispec__"]["operationId"] for route in ROUTES if takes_password(route)}
    assert found == GUESSES.keys() | OF_USERS | SET


@pytest.mark.parametrize("operation", GUESSES)
async def test_every_guess_is_throttled(service: Service, admin: Api, domain: int, operation: str) -> None:
    """Ten wrong passwords are answered as ever, the eleventh with 429 and when to come back, whatever asks."""
    await admin.make_user(domain, "jane")
    (route,) = [each for each in ROUTES if vars(each.handler).get("__apispec__", {}).get("operationId") == operation]
    path, body = GUESSES[operation]
    answers = [await admin.call(route.method, path, body) for _ in range(11)]
    assert {answer.status for answer in answers[:10]} <= {401, 403}
    assert answers[10].status == 429
    assert answers[10].headers["Retry-After"] == "1"
    assert answers[10].body == {"message": "Too many failed logins; try again in 1 s"}
    # Of the same account, the others are throttled with it; its token is renewed, and everything else goes on.
    for other, (elsewhere, given) in GUESSES.items():
        (also,) = [each for each in ROUTES if vars(each.handler).get("__apispec__", {}).get("operationId") == other]
        assert (await admin.call(also.method, elsewhere, given)).status == 429
    assert (await admin.call("POST", "/login")).status == 200
    await admin.get("/profile")


async def test_unknown_names_are_throttled_alike(service: Service, admin: Api, domain: int) -> None:
    """A name that nobody has, and one by which somebody may not log in, run into the same delay after as many tries."""
    await admin.make_user(domain, "norole")
    for name in ("nobody", "norole@example.org", "admin"):
        statuses = [(await log_in(service, name, USER_PASSWORD)).status for _ in range(11)]
        assert statuses == [401] * 10 + [429], name
    await asyncio.sleep(1.1)
    assert (await log_in(service, "admin", ADMIN_PASSWORD)).status == 200


async def test_sources_behind_a_proxy(start_service: StartService) -> None:
    """With a proxy that is named, each client has its own count, of IPv6 the /64; without, they share the proxy's."""
    service = await start_service(trusted_proxies=_networks("127.0.0.1"), login_failures=2)

    async def statuses(*sources: str) -> list[int]:
        return [(await log_in(service, "admin", **{FORWARDED: source})).status for source in sources]

    # A client makes up what stands further left.
    assert await statuses("192.0.2.1", "198.51.100.1, 192.0.2.1", "192.0.2.1", "192.0.2.2") == [401, 401, 429, 401]
    assert await statuses("2001:db8::1", "2001:db8::2:0:0:1", "2001:db8::3", "2001:db8:0:1::1") == [401, 401, 429, 401]
    assert (await log_in(service, "admin", ADMIN_PASSWORD, **{FORWARDED: "198.51.100.9"})).status == 200
    plain = await start_service(login_failures=2)
    answers = [(await log_in(plain, "admin", **{FORWARDED: f"192.0.2.{n}"})).status for n in range(3)]
    assert answers == [401, 401, 429]


def _networks(text: str) -> Any:
    from ipaddress import ip_network

    return (ip_network(text),)


async def test_many_right_logins_at_once(service: Service) -> None:
    """Nobody who has the password is throttled for coming often, or with others at the same time."""
    answers = await asyncio.gather(*(log_in(service, "admin", ADMIN_PASSWORD) for _ in range(40)))
    assert {answer.status for answer in answers} == {200}


async def test_who_hangs_up_is_not_hashed_for(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of logins that are cancelled while they wait for their turn, no hash is computed."""
    hashed: list[str] = []

    def count(stored: str, password: str) -> bool:
        hashed.append(password)
        return verify_hash(stored, password)

    monkeypatch.setattr(passwords, "verify_hash", count)
    context = service.context
    from postroom.app.auth.throttle import LoginSource
    from postroom.app.auth.tokens import is_active
    from postroom.app.services.session import log_in as attempt

    source = LoginSource(b"x", "192.0.2.1", shared=False)
    async with context.passwords.turn("busy"):
        others = await fill(context)
        waiting = [asyncio.create_task(attempt(context, source, f"user{n}", "wrong", is_active)) for n in range(20)]
        await asyncio.sleep(0.05)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for task in others:
            task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    assert hashed == []
    await service.login("admin", ADMIN_PASSWORD)
    assert hashed == [ADMIN_PASSWORD]


async def fill(context: Any) -> list[asyncio.Task[None]]:
    """Takes every other turn there is."""
    begun: list[int] = []

    async def hold() -> None:
        async with context.passwords.turn("busy"):
            begun.append(1)
            await asyncio.sleep(3600)

    tasks = [asyncio.create_task(hold()) for _ in range(8)]
    await asyncio.sleep(0.05)
    return tasks


CURL = ("curl", "-sS", "--max-time", "60", "--output", "/dev/null", "--write-out", "%{http_code} %{time_total}")


async def curl(*options: str) -> tuple[int, float]:
    """(status, seconds) of a request by a program of its own, which the attack does not slow down."""
    process = await asyncio.create_subprocess_exec(*CURL, *options, stdout=asyncio.subprocess.PIPE)
    written, _ = await process.communicate()
    status, seconds = written.split()
    return int(status), float(seconds)


async def guess(address: tuple[str, int], number: int) -> tuple[int, bool]:
    """(status, whether it says when to come back) of a login over a connection of its own."""
    name = "admin" if number % 2 else f"user{number}"
    form = f"user={name}&pass=wrong".encode()
    reader, writer = await asyncio.open_connection(*address)
    head = f"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(form)}\r\n"
    writer.write(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode() + form)
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1]), b"Retry-After: " in answer


async def test_a_login_from_elsewhere_behind_a_thousand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a thousand logins come at once from one source, somebody logs in from another one within two seconds (more
    where the machine has more to do than it can), and an administrator creates a user; whoever is not looked at is told
    when to come back.
    """
    # Otherwise some would be turned away before they are heard.
    monkeypatch.setenv("POSTROOM_MAX_CONNECTIONS", "1200")
    with running_postroom(tmp_path) as url:
        api, at = f"{url}/api/v1", urlsplit(url)
        assert at.hostname
        assert at.port
        token = await asyncio.to_thread(_token, api)
        signed = ("--header", f"Authorization: Bearer {token}", "--header", "Content-Type: application/json")
        created, _ = await curl(*signed, "--data", '{"domainname": "a.org", "maxUser": 9}', f"{api}/system/domains")
        assert created == 201
        attack = [asyncio.create_task(guess((at.hostname, at.port), number)) for number in range(1000)]
        await asyncio.sleep(0.05)
        form = ("--interface", "127.0.0.2", "--data", "user=admin", "--data-urlencode", f"pass={PASSWORD}")
        user = '{"username": "new", "password": "a new password"}'
        login, create, read = await asyncio.gather(
            curl(*form, f"{api}/login"),
            curl(*signed, "--data", user, f"{api}/domains/1/users"),
            curl(*signed, f"{api}/profile"),
        )
        still = sum(not task.done() for task in attack)
        answers = await asyncio.gather(*attack)
        # And when the worst is over, from the same source by the one who has not failed there.
        after = await curl("--interface", "127.0.0.2", *form[2:], f"{api}/login")
    print(f"login {login}, create {create}, read {read}, after {after}; {still} were still waiting")
    assert (login[0], create[0], read[0], after[0]) == (200, 201, 200, 200)
    assert {status for status, _ in answers} == {401, 429}
    assert all(told == (status == 429) for status, told in answers)
    bound = 2 * max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))
    assert login[1] < bound
    assert create[1] < bound


def _token(api: str) -> str:
    with urlopen(f"{api}/login", urlencode({"user": "admin", "pass": PASSWORD}).encode(), timeout=20) as answer:  # noqa: S310 - always http://127.0.0.1
        return str(json.loads(answer.read())["grommunioAuthJwt"])
