"""A small DNS server on this machine, for UDP and TCP: a zone, and several ways to fail."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import Any, Final

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone

#: What a well-kept mail domain has. The SPF record is longer than one string can be.
ZONE: Final = r"""
$ORIGIN example.com.
@                    300 IN SOA   ns hostmaster 1 3600 600 86400 300
@                    300 IN NS    ns
ns                   300 IN A     192.0.2.53
@                    300 IN MX    20 backup
@                    300 IN MX    10 mail
mail                 300 IN A     192.0.2.25
backup               300 IN A     192.0.2.26
@                    300 IN TXT   "some-verification=1"
@                    300 IN TXT   "v=spf1 mx ip4:192.0.2.0/24 " "include:_spf.example.net -all"
autodiscover         300 IN CNAME mail
autoconfig           300 IN AAAA  2001:db8::25
dkim._domainkey      300 IN TXT   "v=DKIM1; k=rsa; " "p=MIGfMA0GCSqGSIb3"
_dmarc               300 IN TXT   "v=DMARC1; p=reject; rua=mailto:dmarc@example.com"
_autodiscover._tcp   300 IN SRV   10 0 443 mail
_autodiscover._tcp   300 IN SRV   5 0 443 backup
_submission._tcp     300 IN SRV   0 1 587 mail
_imaps._tcp          300 IN SRV   0 1 993 mail
_caldavs._tcp        300 IN SRV   0 1 443 mail
_caldavs._tcp        300 IN TXT   "path=/dav"
"""
REVERSE: Final = """
$ORIGIN 2.0.192.in-addr.arpa.
@                    300 IN SOA   ns.example.com. hostmaster.example.com. 1 3600 600 86400 300
@                    300 IN NS    ns.example.com.
25                   300 IN PTR   mail.example.com.
"""


class Mode(Enum):
    """What the server does with a question."""

    ANSWER = auto()
    #: Answers over TCP only; answers over UDP are marked as truncated.
    TRUNCATE = auto()
    SILENT = auto()
    GARBAGE = auto()
    SERVFAIL = auto()
    #: Answers another question than the one that was asked.
    WRONG_ID = auto()


class DnsServer:
    """Listens on a port of its own. `asked` has the (name, kind, protocol) of every question."""

    def __init__(self, *zones: str) -> None:
        self.mode = Mode.ANSWER
        self.asked: list[tuple[str, str, str]] = []
        self.port = 0
        self._zones = [dns.zone.from_text(zone, relativize=False) for zone in zones]

    @property
    def address(self) -> tuple[str, int]:
        """The address in the form of a setting."""
        return "127.0.0.1", self.port

    @classmethod
    @asynccontextmanager
    async def started(cls, *zones: str) -> AsyncIterator["DnsServer"]:
        """Runs for as long as the block does."""
        server, loop = cls(*(zones or (ZONE, REVERSE))), asyncio.get_running_loop()
        tcp = await asyncio.start_server(server._serve_tcp, "127.0.0.1", 0)
        server.port = tcp.sockets[0].getsockname()[1]
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(server), local_addr=server.address)
        try:
            yield server
        finally:
            transport.close()
            tcp.close()
            await tcp.wait_closed()

    def answer(self, wire: bytes, protocol: str) -> bytes | None:
        """The answer to a question, None when there is none."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        self.asked.append((question.name.to_text(), dns.rdatatype.to_text(question.rdtype), protocol))
        if self.mode is Mode.SILENT:
            return None
        if self.mode is Mode.GARBAGE:
            return wire[:2] + b"\xff" * 40
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if self.mode is Mode.WRONG_ID:
            response.id ^= 1
        if self.mode is Mode.SERVFAIL:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif self.mode is Mode.TRUNCATE and protocol == "udp":
            response.flags |= dns.flags.TC
        else:
            self._fill(response, question.name, question.rdtype)
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> None:
        for zone in self._zones:
            if zone.origin is None or not name.is_subdomain(zone.origin):
                continue
            node = zone.get_node(name)
            if node is None:
                break
            for rdataset in node.rdatasets:
                if rdataset.rdtype in (kind, dns.rdatatype.CNAME):
                    response.answer.append(dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset)))
                    if rdataset.rdtype == dns.rdatatype.CNAME != kind:
                        self._fill(response, rdataset[0].target, kind)
            return
        response.set_rcode(dns.rcode.NXDOMAIN)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            answer = self.answer(await reader.readexactly(length), "tcp")
            if answer is not None:
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        answer = self._server.answer(data, "udp")
        if answer is not None:
            self._transport.sendto(answer, addr)
