"""Real programs that ask for /service from this machine: clients are served, proxies and browsers are not."""

import asyncio
import json
import os
import shutil
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, web

from tests.app.test_docs_page import browser
from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.test_clients import caddy, free_port, nginx

pytestmark = pytest.mark.attack

__all__ = ["browser"]

_PYTHON = [sys.executable, "-W", "ignore", "-c"]
_PHP_POST = """['http' => ['method' => 'POST', 'header' => 'Content-Type: application/json', 'ignore_errors' => true,
    'content' => '{"status": 1}']]"""

#: What GETs or POSTs {"status": 1} to a URL, and prints what is answered.
CLIENTS = {
    "curl": ["curl", "-s", "URL"],
    "curl POST": ["curl", "-s", "URL", "--json", '{"status": 1}'],
    "curl POST with Expect": ["curl", "-s", "URL", "-H", "Expect: 100-continue", "--json", '{"status": 1}'],
    "wget": ["wget", "-q", "-O-", "URL"],
    # The ActiveSync server and its webmail ask like this.
    "php": ["php", "-r", "echo file_get_contents('URL');"],
    "php POST": ["php", "-r", f"echo file_get_contents('URL', false, stream_context_create({_PHP_POST}));"],
    "php curl": ["php", "-r", "curl_exec(curl_init('URL'));"],
    "urllib": [*_PYTHON, "import urllib.request as u; print(u.urlopen('URL').read().decode())"],
    "requests": [*_PYTHON, "import requests; print(requests.get('URL').text)"],
    "requests POST": [*_PYTHON, "import requests; print(requests.post('URL', json={'status': 1}).text)"],
    "httpx POST": [*_PYTHON, "import httpx; print(httpx.post('URL', json={'status': 1}).text)"],
    "node fetch": ["node", "-e", "fetch('URL').then(r => r.text()).then(console.log)"],
    "node http": ["node", "-e", "require('http').get('URL', r => r.pipe(process.stdout))"],
    "ruby": ["ruby", "-rnet/http", "-e", "puts Net::HTTP.get(URI('URL'))"],
    "perl": ["perl", "-MHTTP::Tiny", "-e", "print HTTP::Tiny->new->get('URL')->{content}"],
}  # fmt: skip


async def run(command: list[str], url: str) -> Any:
    """What a client prints, which has to be JSON."""
    # Not skipped: `make test` installs them.
    assert shutil.which(command[0]), f"{command[0]} is not installed"
    process = await asyncio.create_subprocess_exec(
        *[part.replace("URL", url) for part in command],
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"]},
    )
    output, _ = await process.communicate()
    return json.loads(output)


@pytest.fixture
async def jane(admin: Api, domain: int) -> str:
    """The name of a user."""
    return str((await admin.make_user(domain, "jane"))["username"])


@pytest.mark.parametrize("name", CLIENTS)
async def test_clients_that_ask_directly_need_no_login(service: Service, jane: str, name: str) -> None:
    """Each client is served as it comes, whatever it sends along by itself."""
    answer = await run(CLIENTS[name], f"{service.url}/api/v1/service/wipe/{jane}?devices=a")
    assert answer.get("data") == {"a": {"status": 0}} or answer["message"].startswith("Success"), answer


async def test_aiohttp_needs_no_login(service: Service) -> None:
    """So is a client on aiohttp, which the tests are themselves."""
    async with ClientSession() as session, session.get(f"{service.url}/api/v1/service/syncPolicy/x") as answer:
        assert answer.status == 200


NGINX = {
    "as it comes": "",
    "with the address": "proxy_set_header X-Forwarded-For $remote_addr;",
    "with HTTP/1.1 and the address alone": "proxy_http_version 1.1; proxy_set_header X-Real-IP $remote_addr;",
}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("setting", NGINX)
async def test_a_real_nginx_opens_nothing(service: Service, tmp_path: Path, setting: str, host: str) -> None:
    """Behind an nginx that nobody told postroom about, /service needs a login, however nginx is set up."""
    port = free_port()
    upstream = f"location / {{ proxy_pass {service.url}; {NGINX[setting]} }}"
    with nginx(f"server {{ listen 127.0.0.1:{port}; {upstream} }}", tmp_path):
        assert await ask_through(port, host) == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_real_caddy_opens_nothing(service: Service, tmp_path: Path, host: str) -> None:
    """Nor does Caddy."""
    port = free_port()
    with caddy(f"http://:{port} {{\nbind 127.0.0.1\nreverse_proxy {urlsplit(service.url).netloc}\n}}", tmp_path):
        assert await ask_through(port, host) == 401


async def test_a_real_nginx_that_is_known(start_service: StartService, tmp_path: Path) -> None:
    """A known nginx opens /service to those it asks for, when it says for whom, and never to a browser."""
    networks = (ip_network("127.0.0.0/8"),)
    service = await start_service(trusted_proxies=(ip_network("127.0.0.1"),), service_networks=networks)
    port, forgetful = free_port(), free_port()
    forwarded = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
    config = f"""
        server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {service.url}; {forwarded} }} }}
        server {{ listen 127.0.0.1:{forgetful}; location / {{ proxy_pass {service.url}; }} }}
    """
    with nginx(config, tmp_path):
        assert await ask_through(port, "localhost") == 200
        # The known proxy seems to have asked itself for somebody.
        assert await ask_through(port, "localhost", {"X-Forwarded-For": "203.0.113.5"}) == 401
        assert await ask_through(port, "localhost", {"Origin": "http://evil.example"}) == 401
        assert await ask_through(forgetful, "localhost") == 401


async def ask_through(port: int, host: str, headers: dict[str, str] | None = None) -> int:
    """The status of a request for a policy that goes through a proxy, once that is there; Host names a port, too."""
    url = f"http://127.0.0.1:{port}/api/v1/service/syncPolicy/x"
    async with ClientSession() as session:
        for _ in range(200):
            try:
                async with session.get(url, headers={"Host": f"{host}:{port}", **(headers or {})}) as answer:
                    if answer.status != 502:
                        return answer.status
            except OSError:
                pass
            await asyncio.sleep(0.1)
    raise AssertionError("the proxy did not start")


_FETCH = """
const done = arguments[arguments.length - 1];
const options = {method: arguments[1], mode: arguments[2]};
if (options.method != "GET") options.body = JSON.stringify({status: 1});
fetch(arguments[0], options).then(r => done(r.type + " " + r.status)).catch(e => done(String(e)));
"""


@pytest.mark.browser
async def test_a_real_browser_is_refused(start_service: StartService, browser: Any, tmp_path: Path) -> None:
    """A page of elsewhere reaches nothing of /service, neither across origins nor with its name pointed to here."""
    service = await start_service(access_log=True)
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    jane = await admin.make_user(domain, "jane")
    port = urlsplit(service.url).port
    path = f"/api/v1/service/wipe/{jane['username']}?devices=a"
    page = web.Application()

    async def evil(_request: web.Request) -> web.Response:
        return web.Response(text="<p>evil", content_type="text/html")

    page.router.add_get("/", evil)
    runner = web.AppRunner(page)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        evil_port = runner.addresses[0][1]
        # Of another origin: what is asked is seen in the wipe that has not begun.
        await asyncio.to_thread(browser.get, f"http://127.0.0.1:{evil_port}/")
        for method in ("GET", "POST"):
            url = f"{service.url}{path}"
            await asyncio.to_thread(browser.execute_async_script, _FETCH, url, method, "no-cors")
        assert (await admin.get(f"/service/wipe/{jane['username']}"))["data"] == {}
        # Of the same origin by name, as after a name was pointed elsewhere: *.localhost is this machine to Chromium.
        await asyncio.to_thread(browser.get, f"http://evil.localhost:{port}/docs")
        for method in ("GET", "POST"):
            told = await asyncio.to_thread(browser.execute_async_script, _FETCH, path, method, "same-origin")
            assert told == "basic 401"
    finally:
        await runner.cleanup()
