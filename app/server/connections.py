"""All connections of a service: limits their number, and looks at each of them once a second.

One timer serves all connections: a timer for each request would slow down every request.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from ipaddress import IPv6Address, IPv6Network
from typing import Final, Protocol

from postroom.app.limits.addresses import parse_address
from postroom.app.limits.clients import Limits
from postroom.app.limits.sparing import Sparing
from postroom.app.metrics.catalogue import Metrics
from postroom.app.server.raw_responses import to_bytes
from postroom.app.web.responses import json_response

log = logging.getLogger("postroom")

#: Most refused connections that are kept open to read the refusal; beyond, the oldest one is cut off.
_MOST_TURNED_AWAY: Final = 64
#: Value of Retry-After for refused connections, in seconds.
_RETRY_AFTER: Final = 5
#: Seconds until the next search for an idle connection, after one that found none.
_PAUSE: Final = 0.1
#: Seconds in which the event loop parses long input, and seconds for everything else after that.
_PARSING, _ELSE = 0.003, 0.006


class Watched(Protocol):
    """The part of a connection that this module uses."""

    def look(self, now: float) -> int:
        """Ends what has exceeded its time limit; returns how many bytes of a response the client has not read."""

    def idle_since(self) -> float | None:
        """When the connection became idle; None during a request."""

    def end(self) -> None:
        """Ends an idle connection."""

    def cut_off(self) -> None:
        """Ends the connection at once, even during a request."""

    def parse_piece(self) -> bool:
        """Parses one piece of the waiting bytes; returns whether more can be parsed now."""


class Pieces:
    """Parses long input: one piece of each connection in turn.

    A body in chunks of one byte takes a hundred times as long to parse, and many can arrive at the same moment.
    """

    def __init__(self) -> None:
        #: The queue, in the order of turns.
        self._waiting: dict[Watched, None] = {}
        self._going = False

    def add(self, connection: Watched) -> None:
        """Queues the connection; adding it twice is fine."""
        self._waiting[connection] = None
        if not self._going:
            self._going = True
            asyncio.get_running_loop().call_soon(self._go)

    def _go(self) -> None:
        until = time.monotonic() + _PARSING
        while self._waiting:
            connection = next(iter(self._waiting))
            del self._waiting[connection]
            if connection.parse_piece():
                self._waiting[connection] = None  # at the end of the queue
            if time.monotonic() > until:
                break
        self._going = bool(self._waiting)
        if self._going:
            asyncio.get_running_loop().call_later(_ELSE, self._go)


class Connections:
    """The open connections. Call `start()` in their event loop, and `stop()` at the end."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self.limits = limits
        self.metrics = metrics
        metrics.connections.follow(lambda: len(self._open))
        self.pieces = Pieces()
        #: Connection -> its source, which a transport forgets when it is closed.
        self._open: dict[Watched, str | None] = {}
        #: Source -> its connections; exempt sources are not counted.
        self._of_source: dict[str, set[Watched]] = {}
        #: Refused connection -> until when it may read the refusal.
        self._turned_away: dict[_TurnedAway, float] = {}
        self._none_idle_until = 0.0
        self._sparing = Sparing()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Starts to look at the connections."""
        self._timer = asyncio.get_running_loop().call_later(self.limits.tick, self._tick)

    def stop(self) -> None:
        """Stops looking, and cuts off the refused connections."""
        if self._timer is not None:
            self._timer.cancel()
        for turned_away in [*self._turned_away]:
            turned_away.cut_off()

    def admit(self, connection: Watched, transport: asyncio.Transport) -> bool:
        """Whether there is room for a new connection. If not, gives the transport another protocol, which tells the
        client.
        """
        source = _source_of(transport, self.limits)
        of_source = () if source is None else self._of_source.get(source, ())
        if (len(of_source) >= self.limits.per_source and not self._make_room(of_source)) or (
            len(self._open) >= self.limits.connections and not self._make_room_for_all()
        ):
            self._turn_away(transport)
            return False
        self._open[connection] = source
        if source is not None:
            self._of_source.setdefault(source, set()).add(connection)
        return True

    def left(self, connection: Watched) -> None:
        """Removes a connection that has ended; calling it twice is fine."""
        source = self._open.pop(connection, None)
        if source is not None:
            of_source = self._of_source[source]
            of_source.remove(connection)
            if not of_source:
                del self._of_source[source]

    def _make_room_for_all(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._none_idle_until:
            return False
        if self._make_room(self._open):
            return True
        # A client that opens many connections must not cause a search of all connections with each.
        self._none_idle_until = now + _PAUSE
        return False

    def _make_room(self, among: Iterable[Watched]) -> bool:
        """Ends some idle connections, the longest idle first; False when none is idle."""
        idle = sorted(
            ((since, id(one), one) for one in among if (since := one.idle_since()) is not None),
        )
        for _, _, one in idle[: 1 + len(idle) // 16]:
            one.end()
        return bool(idle)

    def _turn_away(self, transport: asyncio.Transport) -> None:
        self.metrics.refused.add()
        if self._sparing.due(_TurnedAway) is not None:
            log.warning(
                "Connections are turned away: %d are open, %d at most (POSTROOM_MAX_CONNECTIONS), %d from one source",
                len(self._open),
                self.limits.connections,
                self.limits.per_source,
            )
        if len(self._turned_away) >= _MOST_TURNED_AWAY:
            next(iter(self._turned_away)).cut_off()
        until = asyncio.get_running_loop().time() + self.limits.linger
        self._turned_away[_TurnedAway(self._turned_away, transport)] = until

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self.limits.tick, self._tick)
        now = loop.time()
        for turned_away, until in [*self._turned_away.items()]:
            if now >= until:
                turned_away.cut_off()
        self._bound_unread([(one.look(now), one) for one in [*self._open]])

    def _bound_unread(self, sizes: list[tuple[int, Watched]]) -> None:
        total = sum(size for size, _ in sizes)
        if total <= self.limits.unread:
            return
        for size, one in sorted(sizes, key=lambda each: -each[0]):
            if total <= self.limits.unread:
                break
            one.cut_off()
            total -= size


class _TurnedAway(asyncio.Protocol):
    """Tells a client at once that there are too many connections, and ignores what the client sends."""

    def __init__(self, among: "dict[_TurnedAway, float]", transport: asyncio.Transport) -> None:
        self._among = among
        self._transport = transport
        transport.set_protocol(self)
        transport.write(_too_many())
        # Closing while bytes arrive resets the connection, and the client may never see the response.
        if transport.can_write_eof():
            transport.write_eof()

    def cut_off(self) -> None:
        """Ends the connection."""
        self._among.pop(self, None)
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason does not matter
        """Makes room for the next refused connection."""
        self._among.pop(self, None)


def _too_many() -> bytes:
    response = json_response({"message": "There are too many connections; try again later"}, 503)
    response.headers["Retry-After"] = str(_RETRY_AFTER)
    return to_bytes(response)


def _source_of(transport: asyncio.Transport, limits: Limits) -> str | None:
    """The source that a connection counts for: an IPv4 address, or an IPv6 /64, which one customer has. None: none."""
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple) or not peer[0]:  # a Unix socket
        return None
    address = parse_address(peer[0].partition("%")[0])
    if address is None or any(address in network for network in limits.exempt):
        return None
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address)
