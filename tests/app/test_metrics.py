"""/metrics: what is counted, under which labels, and who may read it."""

import asyncio
import os
import re
import signal
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from postroom.app.metrics.catalogue import READINGS, Metrics
from postroom.app.metrics.cells import Names, Place
from postroom.app.metrics.instruments import Counter, Histogram
from postroom.app.services import measuring
from postroom.app.services.backups import Backups
from tests.app.test_cli import Running
from tests.app.test_workers import WORKERS, connected_to_all, running, workers_of
from tests.conftest import StartService
from tests.support.faults import fault_server
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.support.waiting import until

__all__ = ["running"]  # the fixture

#: Name of a sample with its labels, sorted -> value.
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(session: ClientSession, url: str = "", headers: Mapping[str, str] | None = None) -> Samples:
    """All samples of a scrape, as Prometheus asks for it."""
    asked = {"X-Prometheus-Scrape-Timeout-Seconds": "10", "Accept": "text/plain;version=0.0.4", **(headers or {})}
    async with session.get(f"{url}/metrics", headers=asked) as response:
        text = await response.text()
        assert response.status == 200, text
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-store"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """The value of a sample; 0 when it is missing."""
    return samples.get((name, tuple(sorted(labels.items()))), 0.0)


async def test_requests_are_counted_by_operation_and_status(service: Service, admin: Api, domain: int) -> None:
    """Under the ID of the operation, with the time that they took; HEAD counts as GET."""
    before = await scrape(service.session, service.url)
    for _ in range(3):
        await admin.get(f"/domains/{domain}/users")
    async with service.session.head(f"{service.url}/api/v1/domains/{domain}/users", headers=admin.headers) as response:
        assert response.status == 200
    await admin.refused(404, "GET", f"/domains/{domain}/users/999")
    await admin.refused(400, "POST", f"/domains/{domain}/users", {"nonsense": 1})
    await service.api.refused(401, "GET", "/profile")
    after = await scrape(service.session, service.url)

    def more(operation: str, status: int) -> float:
        labels = {"operation": operation, "status": str(status)}
        return value(after, "postroom_requests_total", **labels) - value(before, "postroom_requests_total", **labels)

    assert more("getUsers", 200) == 4
    assert more("getUser", 404) == 1
    assert more("postUser", 400) == 1
    assert more("getProfile", 401) == 1
    assert more("metrics", 200) == 1
    durations = "postroom_request_duration_seconds"
    assert value(after, f"{durations}_count", operation="getUsers") == 4
    assert value(after, f"{durations}_bucket", operation="getUsers", le="+Inf") == 4
    assert 0 < value(after, f"{durations}_sum", operation="getUsers") < 60
    assert value(after, "postroom_requests_in_flight") == 1
    assert value(after, "postroom_connections") >= 1


async def test_no_client_adds_a_label(service: Service) -> None:
    """Whatever paths and methods somebody makes up, and whatever is not HTTP, has a label each and no more."""
    host, port = service.url.removeprefix("http://").split(":")
    for number in range(5):
        await service.api.refused(404, "GET", f"/made-up/{number}")
        await service.api.refused(405, "DELETE", "/status")
        async with service.session.request("PURGE", f"{service.url}/made-up-{number}") as response:
            assert response.status == 404
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"made up\r\n\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()
    found = await scrape(service.session, service.url)
    assert value(found, "postroom_requests_total", operation="unknown", status="404") == 10
    assert value(found, "postroom_requests_total", operation="other-method", status="405") == 5
    assert value(found, "postroom_requests_total", operation="invalid", status="400") == 5
    assert "made-up" not in str(found)
    assert "PURGE" not in str(found)


async def test_what_is_stored(service: Service, admin: Api, domain: int) -> None:
    """Users, domains, tasks and devices by their state, and what runs."""
    anna = await admin.make_user(domain, "anna")
    await admin.make_user(domain, "info", status=4)
    await admin.make_user(domain, "bert", status=1)
    await admin.make_domain("example.com")
    await admin.delete("/system/domains/2")
    for number in range(3):
        body = {"devicetype": "phone"}
        assert (await service.api.call("PUT", f"/service/sync/{anna['username']}/d{number}", body)).status in (200, 201)
    user = f"/domains/{domain}/users/{anna['ID']}"
    assert (await admin.call("POST", f"{user}/sync/d1/wipe", {"password": ADMIN_PASSWORD, "status": 2})).status == 200
    await measuring.count_devices(service.context)
    found = await scrape(service.session, service.url)
    assert {state: value(found, "postroom_users", status=state) for state in ("active", "inactive", "virtual")} == {
        "active": 1, "inactive": 1, "virtual": 1,
    }  # fmt: skip
    assert value(found, "postroom_domains", status="active") == 1
    assert value(found, "postroom_domains", status="deleted") == 1
    assert value(found, "postroom_devices", state="normal") == 2
    assert value(found, "postroom_devices", state="wipe-pending") == 1
    assert ("postroom_tasks", (("state", "running"),)) in found
    assert value(found, "postroom_database_up") == 1
    assert value(found, "postroom_schema_version") > 1
    (build,) = [dict(labels) for name, labels in found if name == "postroom_build_info"]
    assert build["engine"] == service.context.database.engine
    assert value(found, "process_resident_memory_bytes", worker="0") > 1 << 20
    assert value(found, "process_open_fds", worker="0") > 3


async def test_devices_are_counted_in_pieces(
    service: Service, admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is counted once, wherever a piece ends."""
    monkeypatch.setattr("postroom.storage.figures._PIECE", 2)
    for name in ("anna", "bert", "carl"):
        user = await admin.make_user(domain, name)
        for number in range(3):
            await service.api.call("PUT", f"/service/sync/{user['username']}/d{number}", {"devicetype": "phone"})
    await measuring.count_devices(service.context)
    assert value(await scrape(service.session, service.url), "postroom_devices", state="normal") == 9


async def test_writes_and_commits(service: Service, admin: Api, domain: int) -> None:
    """Each transaction is counted with the writes that shared it, and with the time of its commit."""
    before = await scrape(service.session, service.url)
    await asyncio.gather(*(admin.make_user(domain, f"user{number}", status=4) for number in range(20)))
    after = await scrape(service.session, service.url)
    writes, transactions, commits = (
        value(after, name) - value(before, name)
        for name in (
            "postroom_write_batch_size_sum", "postroom_write_batch_size_count", "postroom_commit_duration_seconds_count"
        )
    )  # fmt: skip
    assert writes >= 20
    assert 1 <= transactions <= writes
    assert commits == transactions
    assert ("postroom_write_queue", ()) in after


async def test_logins_by_outcome(start_service: StartService) -> None:
    """Passwords and tokens: right, wrong, refused without a check. Each is there from the beginning, as 0."""
    service = await start_service(login_failures=2)
    admin = await service.login("admin", ADMIN_PASSWORD)
    token = (await admin.post("/tokens", {"name": "a program"}))["token"]
    await Api(service, {"Authorization": f"Bearer {token}"}).get("/profile")
    await Api(service, {"Authorization": f"Bearer {token[:-1]}x"}).refused(401, "GET", "/profile")
    for status in (401, 401, 429):
        await service.api.refused(status, "POST", "/login", {"user": "nobody", "pass": "wrong password"})
    found = await scrape(service.session, service.url)

    def logins(by: str) -> dict[str, float]:
        return {
            dict(labels)["outcome"]: number
            for (name, labels), number in found.items()
            if name == "postroom_logins_total" and ("by", by) in labels
        }

    assert logins("password") == {"ok": 1, "failed": 2, "throttled": 1, "unavailable": 0}
    assert logins("token") == {"ok": 1, "failed": 1, "throttled": 0, "unavailable": 0}


async def test_directories_by_server_and_outcome(service: Service, admin: Api) -> None:
    """A server that hangs up counts as away, under its URL; no login name is a label."""
    async with fault_server("closes") as address:
        document = {
            "connection": {"server": f"ldap://{address}", "bindUser": "cn=reader", "bindPass": "a reader's password"},
            "baseDn": "dc=example", "objectID": "objectGUID", "users": {"username": "mail"},
        }  # fmt: skip
        await admin.put("/system/mconf/ldap?force=true", document)
        await service.api.refused(503, "POST", "/login", {"user": "somebody", "pass": "wrong password"})
    found = await scrape(service.session, service.url)
    server = {"server": f"ldap://{address}", "step": "connect"}
    assert value(found, "postroom_ldap_requests_total", outcome="away", **server) >= 1
    assert value(found, "postroom_ldap_request_duration_seconds_count", **server) >= 1
    assert value(found, "postroom_logins_total", by="password", outcome="unavailable") == 1
    assert "reader" not in str(found)
    assert "somebody" not in str(found)


async def test_backups(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a schedule there is nothing; with one, whether the last attempt failed."""
    assert not any("backup" in name for name, _ in await scrape(service.session, service.url))
    monkeypatch.setattr(service.context.backups, "wanted", True)
    found = await scrape(service.session, service.url)
    assert found["postroom_backup_failed", ()] == 0
    assert ("postroom_backup_timestamp_seconds", ()) not in found

    async def failed(_self: Backups) -> dict[str, Any]:
        return {"error": "no room"}

    monkeypatch.setattr(Backups, "state", failed)
    assert (await scrape(service.session, service.url))["postroom_backup_failed", ()] == 1


async def test_without_a_database(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape says so, and has everything else; a database that hangs is one that does not answer."""
    monkeypatch.setattr("postroom.app.services.measuring.PATIENCE", 0.05)

    async def hangs(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("postroom.storage.figures.select_figures", hangs)
    found = await scrape(service.session, service.url)
    assert found["postroom_database_up", ()] == 0
    assert ("postroom_users", (("status", "active"),)) not in found
    assert value(found, "postroom_workers") == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "evil.example"},
        {"Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "same-origin"},
        {"X-Anything": "else"},
    ],
)
async def test_not_through_a_proxy_or_a_browser(service: Service, headers: dict[str, str]) -> None:
    """What may come from elsewhere gets nothing, although its address is right; a login does not help."""
    admin = await service.login("admin", ADMIN_PASSWORD)
    for more in ({}, admin.headers):
        async with service.session.get(f"{service.url}/metrics", headers={**headers, **more}) as response:
            assert response.status == 403
            assert "postroom_" not in await response.text()


async def test_networks(start_service: StartService) -> None:
    """Only those that are configured; the ones for /service do not count."""
    elsewhere = await start_service(metrics_networks=(ip_network("192.0.2.0/24"),))
    async with elsewhere.session.get(f"{elsewhere.url}/metrics") as response:
        assert response.status == 403
    proxied = await start_service(
        metrics_networks=(ip_network("192.0.2.0/24"),), trusted_proxies=(ip_network("127.0.0.1"),)
    )
    assert await scrape(proxied.session, proxied.url, {"X-Forwarded-For": "192.0.2.7"})
    async with proxied.session.get(f"{proxied.url}/metrics", headers={"X-Forwarded-For": "192.0.3.7"}) as response:
        assert response.status == 403


async def test_switched_off(start_service: StartService) -> None:
    """There is no such path, nothing is counted, and everything else works."""
    service = await start_service(metrics=False)
    async with service.session.get(f"{service.url}/metrics") as response:
        assert response.status == 404
    await service.login("admin", ADMIN_PASSWORD)
    assert list(service.context.metrics.requests.collect()) == []
    async with service.session.get(f"{service.url}/healthz") as response:
        assert response.status == 200


async def test_every_worker_tells_of_all(running: Running) -> None:
    """Whoever answers adds up all of them; when one dies, no counter goes back, and its processor is gone."""
    async with connected_to_all(running) as sessions:
        for session in sessions.values():
            async with session.get("/api/v1/about") as response:
                assert response.status == 200
        for session in sessions.values():
            found = await scrape(session)
            assert value(found, "postroom_requests_total", operation="getAbout", status="200") == WORKERS
            assert value(found, "postroom_workers") == WORKERS
            assert {labels for name, labels in found if name == "process_open_fds"} == {
                (("worker", str(number)),) for number in range(WORKERS)
            }
        victim, survivor = list(sessions)[:2]
        os.kill(victim, signal.SIGKILL)
        await until(lambda: victim not in workers_of(running) and len(workers_of(running)) == WORKERS, 30)

        async def restarted() -> Samples:
            found = await scrape(sessions[survivor])
            while value(found, "postroom_workers") < WORKERS:
                await asyncio.sleep(0.05)
                found = await scrape(sessions[survivor])
            return found

        found = await restarted()
        assert value(found, "postroom_requests_total", operation="getAbout", status="200") == WORKERS
        assert value(found, "postroom_workers_ended_total") == 1


def test_names_go_on_after_a_worker() -> None:
    """The next worker in the place knows the names of the one before; workers number them as they come."""
    place = Place(2)
    counter = Counter(place, "x_total", "", {"server": (names := Names(place, 4))}, sparse=True)
    counter.add(names.number_of("a"))
    counter.add(names.number_of("b"))
    successor = Names.__new__(Names)
    successor.__dict__.update({**vars(names), "_known": None})
    assert successor.number_of("b") == 1
    place.worker = 1
    other = Names.__new__(Names)
    other.__dict__.update({**vars(names), "_known": None})
    for name in ("b", "c", "a" * 500, "d", "e"):
        counter.add(other.number_of(name))
    found = {values: cells[0] for values, cells in counter.collect()}
    assert found == {("a",): 1, ("b",): 2, ("c",): 1, ("a" * 127,): 1, ("other",): 2}


def test_histograms() -> None:
    """What is on a bound belongs below it; each range counts what is in it, and the text adds them up."""
    histogram = Histogram(Place(), "x", "", (1, 2))
    for what in (0.5, 1, 1.5, 2, 3):
        histogram.observe(what=what)
    assert list(histogram.collect()) == [((), [2, 2, 1, 8])]


def test_the_page_lists_all() -> None:
    """docs/monitoring.md has a row for each metric, as the code describes it."""
    text = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text("utf-8")
    assert re.findall(r"^\| `\w+` \| (?:counter|gauge|histogram) \|.*$", text, re.MULTILINE) == rows()


def rows() -> list[str]:
    """The rows of the table: name, kind, labels, meaning."""
    shown = [(each.name, each.kind, each.labels, each.about) for each in Metrics().shown]
    shown += [(each.name, each.kind, each.labels, each.about) for each in READINGS]
    return [
        f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {about} |"
        for name, kind, labels, about in shown
    ]
