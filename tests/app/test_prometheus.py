"""docs/monitoring: the queries of the dashboard and of the alerts, by a real Prometheus."""

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
import yaml

from postroom.app.metrics.catalogue import READINGS, Metrics
from tests.app.test_cli import Running, serving
from tests.support.faults import answering, fault_server
from tests.support.nodes import ADMIN_PASSWORD, Nodes
from tests.support.slapd import free_port

FOLDER = Path(__file__).parents[2] / "docs" / "monitoring"
RULES = FOLDER / "postroom.rules.yml"
MISSING: Final = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
needs_prometheus = pytest.mark.skipif(
    bool(MISSING), reason=f"{' and '.join(MISSING)} missing: the Debian package prometheus"
)


def alerts() -> dict[str, str]:
    """Alert -> its query."""
    (group,) = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}


def panels() -> dict[str, list[str]]:
    """Panel of the dashboard -> its queries, as Grafana sends them."""
    found: dict[str, list[str]] = {}
    for panel in json.loads((FOLDER / "postroom.json").read_text("utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".+")
            found.setdefault(panel["title"], []).append(query)
    return found


def test_queries_name_what_there_is() -> None:
    """Every metric in a query exists, and everything that is counted is in a panel."""
    known = {each.name for each in Metrics().shown} | {each.name for each in READINGS}
    queries = [*alerts().values(), *(query for queries in panels().values() for query in queries)]
    used = {
        re.sub(r"(_bucket|_sum|_count)$", "", name)
        for name in re.findall(r"\b(?:postroom|process)_\w+", " ".join(queries))
    }
    assert used <= known
    assert known - used <= {"postroom_schema_version", "process_virtual_memory_bytes", "process_start_time_seconds"}


def test_the_page_lists_the_alerts() -> None:
    """docs/monitoring.md has a row for each."""
    text = (FOLDER.parent / "monitoring.md").read_text("utf-8")
    assert re.findall(r"^\| `(Postroom\w+)` \|", text, re.MULTILINE) == list(alerts())


#: Alert -> series with which it fires after an hour, a point a minute, and the same when all is well.
CASES: Final[dict[str, list[tuple[str, str, str]]]] = {
    "PostroomDown": [('up{job="postroom"}', "0x60", "1x60")],
    "PostroomDatabaseDown": [("postroom_database_up", "0x60", "1x60")],
    "PostroomErrors": [
        ('postroom_requests_total{operation="getUser",status="503"}', "0+10x60", "0+1x60"),
        ('postroom_requests_total{operation="getUser",status="200"}', "0+60x60", "0+60x60"),
    ],
    "PostroomSlow": [
        ('postroom_request_duration_seconds_bucket{operation="getUser",le="0.25"}', "0+50x60", "0+60x60"),
        ('postroom_request_duration_seconds_bucket{operation="getUser",le="0.5"}', "0+60x60", "0+60x60"),
        ('postroom_request_duration_seconds_bucket{operation="getUser",le="+Inf"}', "0+60x60", "0+60x60"),
    ],
    "PostroomWritesPileUp": [("postroom_write_queue", "101x60", "100x60")],
    "PostroomConnectionsRefused": [("postroom_connections_refused_total", "0+1x60", "5x60")],
    "PostroomWorkersDie": [("postroom_workers_ended_total", "0+1x60", "3x60")],
    "PostroomJobFails": [('postroom_rounds_total{round="audit",outcome="failed"}', "0+1x60", "5x60")],
    "PostroomLoginsFail": [
        ('postroom_logins_total{by="password",outcome="failed"}', "0+61x60", "0+20x60"),
        ('postroom_logins_total{by="token",outcome="throttled"}', "0+1x60", "0+20x60"),
    ],
    "PostroomDirectoryAway": [
        ('postroom_ldap_requests_total{server="ldap://a",step="connect",outcome="away"}', "0+1x60", "0+1x60"),
        ('postroom_ldap_requests_total{server="ldap://a",step="request",outcome="ok"}', "9x60", "0+1x60"),
    ],
    "PostroomBackupFailed": [("postroom_backup_failed", "1x60", "0x60")],
    "PostroomBackupOld": [("postroom_backup_timestamp_seconds", "-169201x60", "-169199x60")],
    "PostroomFewDescriptors": [
        ('process_open_fds{job="postroom",worker="0"}', "91x60", "90x60"),
        ('process_max_fds{job="postroom",worker="0"}', "100x60", "100x60"),
    ],
}


@needs_prometheus
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """Each of them does at its bound, and does not when all is well. Time in these tests begins at 0."""
    assert CASES.keys() == alerts().keys()
    tests = []
    for alert, series in CASES.items():
        for fires, place in ((True, 1), (False, 2)):
            tests.append({
                "interval": "1m",
                "input_series": [{"series": each[0], "values": each[place]} for each in series],
                "promql_expr_test": [{
                    "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
                    "eval_time": "1h",
                    "exp_samples": [{"labels": "{}", "value": int(fires)}],
                }],
            })  # fmt: skip
    written = tmp_path / "tests.yml"
    written.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    for command in (["check", "rules", str(RULES)], ["test", "rules", str(written)]):
        found = subprocess.run(["promtool", *command], capture_output=True, text=True, timeout=60, check=False)
        assert found.returncode == 0, found.stdout + found.stderr


@contextmanager
def prometheus(folder: Path, target: int) -> Iterator[str]:
    """The address of a Prometheus that scrapes a port of this machine four times a second, with the rules."""
    config = {
        "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "postroom", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
             f"--web.listen-address={address}"], stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield f"http://{address}"
        finally:
            process.kill()
            process.wait()


def ask(url: str, query: str) -> list[Any]:
    """The result of a query; it must not be an error."""
    with urlopen(Request(f"{url}/api/v1/query?{urlencode({'query': query})}"), timeout=10) as answer:  # noqa: S310
        found = json.load(answer)
    assert found["status"] == "success", (query, found)
    assert not found.get("warnings"), (query, found)
    return list(found["data"]["result"])


def wait_for(url: str, query: str) -> None:
    """Waits until the query has a result."""
    until = time.monotonic() + 60
    while True:
        try:
            if ask(url, query):
                return
        except URLError:
            pass  # it starts
        assert time.monotonic() < until, query
        time.sleep(0.1)


async def use(running: Running) -> None:
    """Does something of everything that is counted, a directory included."""
    nodes = Nodes([running])
    login = await nodes.log_in()
    domain = (await nodes.done("POST", "/system/domains", {"domainname": "example.org", "maxUser": 9}, login))["ID"]
    await nodes.done("POST", f"/domains/{domain}/users", {"username": "anna", "status": 4}, login)
    async with fault_server(answering({})) as address:
        document = {
            "connection": {"server": f"ldap://{address}", "bindUser": "cn=admin", "bindPass": "secret"},
            "baseDn": "dc=example", "objectID": "objectGUID", "users": {"username": "mail"},
        }  # fmt: skip
        await nodes.done("PUT", "/system/mconf/ldap?force=true", document, login)
        await nodes.call("GET", "/domains/ldap/search?query=anna", None, login)
    assert nodes._session is not None
    await nodes._session.close()


def ask_as_postfix(path: Path) -> None:
    """One question of a mail server."""
    with socket.socket(socket.AF_UNIX) as postfix:
        postfix.connect(str(path))
        postfix.sendall(b"19:domains example.org,")
        assert postfix.recv(100)


@needs_prometheus
@pytest.mark.torture
async def test_every_query_has_a_result(tmp_path: Path) -> None:
    """Of a real service with two workers: each panel shows something, and no alert fires."""
    (tmp_path / "backups").mkdir()
    (tmp_path / "mail").mkdir()
    settings = {
        "POSTROOM_ADMIN_PASSWORD": ADMIN_PASSWORD,
        "POSTROOM_BACKUP_FOLDER": str(tmp_path / "backups"),
        "POSTROOM_MAIL_SOCKETS": str(tmp_path / "mail"),
    }
    with serving(tmp_path, "--workers", "2", "--host", "127.0.0.1", **settings) as running:
        await use(running)
        ask_as_postfix(tmp_path / "mail" / "postfix")
        with prometheus(tmp_path, running.ports[0]) as url:
            wait_for(url, 'count_over_time(up{job="postroom"}[1m]) >= 4')
            wait_for(url, "postroom_backup_timestamp_seconds")
            wait_for(url, "rate(postroom_ldap_requests_total[1m])")
            empty = [(panel, query) for panel, queries in panels().items() for query in queries if not ask(url, query)]
            assert empty == []
            assert {alert: found for alert, query in alerts().items() if (found := ask(url, query))} == {}
            assert ask(url, "ALERTS") == []
            assert ask(url, "postroom_workers")[0]["value"][1] == "2"
        assert running.stop() == 0
