"""What the DNS says of a domain, asked of a real server on this machine."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest
import uvloop

from postroom.app.services import dns_views
from postroom.app.services.dns_check import DnsCheck
from tests.conftest import StartService
from tests.support.dns_server import ZONE, DnsServer, Mode
from tests.support.service import ADMIN_PASSWORD, Api

TIMEOUT = 1.0


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    """A DNS server that has example.com."""
    async with DnsServer.started() as server:
        yield server


async def make_admin(start_service: StartService, **settings: Any) -> Api:
    """The administrator of a service whose domain 1 is example.com."""
    service = await start_service(dns_timeout=TIMEOUT, **settings)
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.make_domain("example.com")
    return admin


@pytest.fixture
async def admin(start_service: StartService, dns: DnsServer) -> Api:
    """The same, asking that server."""
    return await make_admin(start_service, dns_servers=(dns.address,))


async def check(admin: Api) -> dict[str, Any]:
    """The check of domain 1."""
    found: dict[str, Any] = await admin.get("/domains/1/dnsCheck")
    return found


def internal(text: str | None) -> dict[str, str | None]:
    """What the machine's own resolvers say, with none on the internet to ask."""
    return {"internalDNS": text, "externalDNS": None}


def looked_up(found: dict[str, Any]) -> set[str | None]:
    """Everything in an answer that comes out of the DNS."""
    parts = [part for part in found.values() if isinstance(part, dict)]
    return {value for part in parts for value in part.values()}


async def test_a_well_kept_domain(admin: Api) -> None:
    """Each record is shown as text: addresses as they are, names with their dot, TXT quoted and as one."""
    found = await check(admin)
    found.pop("localIp"), found.pop("externalIp")
    assert found == {
        "mxRecords": {
            "mxDomain": "mail.example.com.",
            "reverseLookup": "mail.example.com.",
            **internal("192.0.2.25"),
        },
        "autodiscover": internal("192.0.2.25"),
        "autoconfig": internal("2001:db8::25"),
        "txt": internal('"v=spf1 mx ip4:192.0.2.0/24 include:_spf.example.net -all"'),
        "dkim": internal('"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3"'),
        "dmarc": internal('"v=DMARC1; p=reject; rua=mailto:dmarc@example.com"'),
        "autodiscoverSRV": {
            "ip": "192.0.2.26",
            **internal("5 0 443 backup.example.com., 10 0 443 mail.example.com."),
        },
        "submissionSRV": internal("0 1 587 mail.example.com."),
        "imapsSRV": internal("0 1 993 mail.example.com."),
        "caldavsSRV": internal("0 1 443 mail.example.com."),
        # As the web console compares it.
        "caldavTXT": internal('"path=/dav"'),
        "carddavTXT": internal(None),
        **{f"{name}SRV": internal(None) for name in ("imap", "pop3", "pop3s", "caldav", "carddav", "carddavs")},
    }


async def test_text_of_strangers(start_service: StartService) -> None:
    """What stands in the DNS is shown as in a zone file: quotes escaped, and nothing that a terminal or page obeys."""
    odd = ZONE.replace("p=reject", r"\"quoted\" \\ <script> \007\010\255")
    odd = odd.replace("SRV   0 1 993 mail", r"SRV   0 1 993 ma\007\"il")
    async with DnsServer.started(odd) as server:
        found = await check(await make_admin(start_service, dns_servers=(server.address,)))
    assert r'"v=DMARC1; \"quoted\" \\ <script> \007\010\255; ' in found["dmarc"]["internalDNS"]
    assert found["imapsSRV"]["internalDNS"] == r"0 1 993 ma\007\"il.example.com."


async def test_names_are_not_searched_for(admin: Api, dns: DnsServer) -> None:
    """Only names in and of the domain are asked for, each as it stands, whatever the system's search list is."""
    await check(admin)
    assert {name for name, _, _ in dns.asked if not name.endswith(".arpa.")} <= {
        "example.com.", "mail.example.com.", "backup.example.com.", "autodiscover.example.com.",
        "autoconfig.example.com.", "dkim._domainkey.example.com.", "_dmarc.example.com.",
        *(f"_{service}._tcp.example.com." for service in (
            "autodiscover", "submission", "imap", "imaps", "pop3", "pop3s", "caldav", "caldavs", "carddav", "carddavs",
        )),
    }  # fmt: skip


async def test_answers_that_are_cut_off(admin: Api, dns: DnsServer) -> None:
    """What is too long for UDP is asked for again over TCP."""
    dns.mode = Mode.TRUNCATE
    assert (await check(admin))["txt"]["internalDNS"].startswith('"v=spf1')
    assert {protocol for _, _, protocol in dns.asked} == {"udp", "tcp"}


@pytest.mark.parametrize("mode", [Mode.SILENT, Mode.GARBAGE, Mode.SERVFAIL, Mode.WRONG_ID])
async def test_servers_that_are_of_no_help(admin: Api, dns: DnsServer, mode: Mode) -> None:
    """A server that is silent, talks nonsense, fails, or answers another question makes all null, within the limit."""
    dns.mode = mode
    started = time.monotonic()
    assert looked_up(await check(admin)) == {None}
    assert time.monotonic() - started < TIMEOUT + 1
    # And nothing is left behind: the next one is answered as ever.
    dns.mode = Mode.ANSWER
    assert (await check(admin))["autodiscover"]["internalDNS"] == "192.0.2.25"


async def test_nobody_listens(start_service: StartService) -> None:
    """A resolver that is not there makes all null."""
    admin = await make_admin(start_service, dns_servers=(("127.0.0.1", 9),))
    assert looked_up(await check(admin)) == {None}


async def test_a_second_resolver(start_service: StartService, dns: DnsServer) -> None:
    """Of several resolvers the next is asked when one is silent, within the limit for all."""
    async with DnsServer.started() as silent:
        silent.mode = Mode.SILENT
        admin = await make_admin(start_service, dns_servers=(silent.address, dns.address))
        assert (await check(admin))["autodiscover"]["internalDNS"] == "192.0.2.25"


async def test_a_domain_without_anything(admin: Api) -> None:
    """A name that does not exist, and one without records, have null everywhere."""
    await admin.make_domain("nothing.example.com")
    await admin.make_domain("bücher.example")
    for domain_id in (2, 3):
        assert looked_up(await admin.get(f"/domains/{domain_id}/dnsCheck")) == {None}


async def test_the_view_from_outside(start_service: StartService, dns: DnsServer) -> None:
    """A resolver on the internet, where one is set, is asked for the same, and answers by itself."""
    async with DnsServer.started(ZONE.replace("192.0.2.", "198.51.100.")) as outside:
        admin = await make_admin(start_service, dns_servers=(dns.address,), dns_external=(outside.address,))
        found = await check(admin)
    assert found["autodiscover"] == {"internalDNS": "192.0.2.25", "externalDNS": "198.51.100.25"}
    assert found["mxRecords"]["externalDNS"] == "198.51.100.25"
    # The address that others see has no name there.
    assert found["mxRecords"]["reverseLookup"] is None
    assert found["dmarc"]["internalDNS"] == found["dmarc"]["externalDNS"]


async def test_only_outside(start_service: StartService, dns: DnsServer) -> None:
    """What the machine's own resolvers do not know of is still shown as it is outside."""
    async with DnsServer.started() as own:
        own.mode = Mode.SERVFAIL
        admin = await make_admin(start_service, dns_servers=(own.address,), dns_external=(dns.address,))
        found = await check(admin)
    assert found["mxRecords"] == {
        "mxDomain": "mail.example.com.",
        "reverseLookup": "mail.example.com.",
        "internalDNS": None,
        "externalDNS": "192.0.2.25",
    }


async def test_records_without_end(start_service: StartService) -> None:
    """However much a domain has, an answer shows so many characters of it."""
    many = "\n".join(f'_dmarc 300 IN TXT "{number:04d} {"x" * 200}"' for number in range(50))
    async with DnsServer.started(f"{ZONE}\n{many}") as server:
        admin = await make_admin(start_service, dns_servers=(server.address,))
        assert len((await check(admin))["dmarc"]["internalDNS"]) == dns_views.LONGEST


async def test_no_mail_here(start_service: StartService) -> None:
    """The null MX of a domain that takes no mail is shown as it is."""
    zone = ZONE.replace("MX    20 backup", "MX    0 .").replace("@                    300 IN MX    10 mail", "")
    async with DnsServer.started(zone) as server:
        admin = await make_admin(start_service, dns_servers=(server.address,))
        assert (await check(admin))["mxRecords"] == {"mxDomain": ".", "reverseLookup": None, **internal(None)}


async def test_a_domain_is_looked_up_once_at_a_time(admin: Api, dns: DnsServer) -> None:
    """However many ask, there is one check of a domain under way: nobody can use up the sockets of the service."""
    dns.mode = Mode.SILENT
    await check(admin)
    alone = len(dns.asked)
    dns.asked.clear()
    answers = await asyncio.gather(*(check(admin) for _ in range(50)))
    assert len(dns.asked) < 2 * alone
    assert all(answer == answers[0] for answer in answers)


async def test_a_stop_while_it_is_looked_up(start_service: StartService, dns: DnsServer) -> None:
    """A service that stops does not wait for a resolver that is silent."""
    service = await start_service(dns_servers=(dns.address,), dns_timeout=60)
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.make_domain("example.com")
    dns.mode = Mode.SILENT
    asking = asyncio.create_task(admin.call("GET", "/domains/1/dnsCheck"))
    await asyncio.sleep(0.2)
    assert dns.asked
    asking.cancel()
    async with asyncio.timeout(5):
        await service.app.cleanup()


async def count_sockets_left() -> int:
    """How many more files are open after many checks that a silent resolver lets run into their limit."""
    async with DnsServer.started() as server:
        checks = DnsCheck((server.address,), (), 0.2)
        await checks.check("example.com")
        before = psutil.Process().num_fds()
        server.mode = Mode.SILENT
        for _ in range(10):
            await asyncio.gather(*(checks.check(f"{number}.example.com") for number in range(8)))
        await asyncio.sleep(0.5)
        left = psutil.Process().num_fds() - before
        await checks.close()
        return left


# uvloop does not get over a warning that is an error while it closes what was left: the count is to tell.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_no_socket_is_left_behind() -> None:
    """Look-ups that run out of time close their sockets, also on the loop that the service runs on.

    uvloop keeps the socket of one that is cancelled just as it begins, which a service would pay for in the end.
    """
    assert uvloop.run(count_sockets_left()) == 0
    assert asyncio.run(count_sockets_left()) == 0


async def test_others_are_answered_meanwhile(start_service: StartService, dns: DnsServer) -> None:
    """A silent resolver keeps no other request waiting."""
    service = await start_service(dns_servers=(dns.address,), dns_timeout=60)
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.make_domain("example.com")
    dns.mode = Mode.SILENT
    checking = asyncio.create_task(admin.call("GET", "/domains/1/dnsCheck"))
    async with asyncio.timeout(30):
        while not dns.asked:  # noqa: ASYNC110 - a server that says nothing has no event
            await asyncio.sleep(0.01)
        for _ in range(20):
            await admin.get("/domains/1/users")
    assert not checking.done()
    checking.cancel()


async def test_who_may_ask(start_service: StartService, dns: DnsServer) -> None:
    """Whoever reads the domain may, others may not; a domain that is not there is a 404, and nobody is asked."""
    admin = await make_admin(start_service, dns_servers=(dns.address,))
    await admin.make_domain("other.org")
    reader = await admin.service.login_with(1, ("DomainAdminRO", {"domain_id": 1}))
    assert (await check(reader))["autodiscover"]["internalDNS"] == "192.0.2.25"
    dns.asked.clear()
    await reader.refused(403, "GET", "/domains/2/dnsCheck")
    await admin.refused(404, "GET", "/domains/99/dnsCheck")
    assert dns.asked == []
