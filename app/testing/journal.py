"""What a server was asked."""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, overload

import orjson
from aiohttp import web

from postroom.app.clock import Clock
from postroom.app.outside import METRICS_PAGE, PROBES
from postroom.app.web.keys import CALLER
from postroom.testing.bodies import raw_of, shown
from postroom.testing.errors import HarnessError
from postroom.testing.faults import Fault
from postroom.testing.operations import OPERATIONS, check_operation
from postroom.testing.strict import description, problems_of

#: Most requests that are kept: the latest.
_MOST: Final = 10_000

#: Probes and scrapes are nothing that a client under test has asked.
_NOT_NOTED: Final = frozenset(route.path for route in (*PROBES, METRICS_PAGE))


@dataclass(frozen=True, slots=True)
class Request:
    """A request."""

    #: The operation ID of the description; None where the path or the method is unknown.
    operation: str | None
    method: str
    #: With the query, as it arrived.
    path: str
    #: The username; None without a login.
    caller: str | None
    #: Parsed JSON or form, with passwords and tokens masked. None when there was none, when it was not read as a whole,
    #: and when it was long.
    body: Any
    #: Of the response, also of one that a fault has lost. None: there is none, or none yet.
    status: int | None
    moment: datetime
    #: From the head of the request to the head of the response.
    seconds: float
    #: What went wrong on purpose.
    faults: tuple[Fault, ...] = ()
    #: What the description does not allow, in strict mode.
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        body = "" if self.body is None else f" {orjson.dumps(self.body).decode()}"
        who = self.caller or "without a login"
        met = "".join(f" met {fault}" for fault in self.faults)
        told = f"({self.operation}, {who}, {self.seconds * 1000:.1f} ms){met}"
        problems = "".join(f"\n    {problem}" for problem in self.problems)
        return f"{self.status or 'no answer'} {self.method} {self.path} {told}{body}{problems}"


#: Below it are the controls of `postroom serve --ephemeral`, which nobody wants to see among the requests of a client.
CONTROLS: Final = "/_test"
#: The faults that a request meets.
FAULTS: Final = web.RequestKey[tuple[Fault, ...]]("faults", tuple)
#: Who has made a request that a fault may keep from being admitted.
EARLY_CALLER: Final = web.RequestKey[str | None]("early_caller", str)
#: What the journal has of a request.
_NOTED: Final = web.RequestKey("noted", Request)


def operation_of(request: web.Request) -> str | None:
    """The ID of the operation that it is for; None where the path or the method is unknown."""
    resource = request.match_info.route.resource
    return OPERATIONS.get((request.method, resource.canonical if resource is not None else ""))


class Journal(Sequence[Request]):
    """The requests since the last reset, in the order of their answers, or of the faults that they met."""

    def __init__(self, clock: Clock, *, strict: bool = False) -> None:
        self._clock = clock
        #: Whether requests and responses are compared with the description.
        self.is_strict = strict
        if strict:
            description()  # takes a moment
        self._requests: deque[Request] = deque(maxlen=_MOST)

    async def note(self, request: web.Request, response: web.StreamResponse | None) -> None:
        """Notes a request, or what has become of one that is noted; None: it has no response, or none yet.

        Called before the response goes out, so whoever has it finds the request here.
        """
        if request.path in _NOT_NOTED or _is_control(request):
            return
        began: float = request.protocol.began  # type: ignore[attr-defined]
        raw, faults = await raw_of(request), request.get(FAULTS, ())
        # What a fault answers need not be described.
        real = None if any(fault.kind in ("status", "cut", "broken") for fault in faults) else response
        entry = Request(
            operation_of(request),
            request.method,
            request.path_qs,
            request[CALLER].username if CALLER in request else request.get(EARLY_CALLER),
            shown(raw, request.content_type),
            response.status if response is not None else None,
            self._clock.local(UTC),
            asyncio.get_running_loop().time() - began,
            faults,
            problems_of(request, raw, real) if self.is_strict else (),
        )
        self._put(request, entry)

    def _put(self, request: web.Request, entry: Request) -> None:
        noted = request.get(_NOTED)
        request[_NOTED] = entry
        if noted is None:
            self._requests.append(entry)
            return
        for place, each in enumerate(self._requests):
            # Nowhere, when it has been forgotten meanwhile.
            if each is noted:
                self._requests[place] = entry if entry.status is not None else replace(entry, status=noted.status)
                request[_NOTED] = self._requests[place]

    def clear(self) -> None:
        """Forgets all of them."""
        self._requests.clear()

    @overload
    def __getitem__(self, index: int) -> Request: ...
    @overload
    def __getitem__(self, index: slice) -> list[Request]: ...
    def __getitem__(self, index: int | slice) -> Request | list[Request]:
        return list(self._requests)[index]

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Request]:
        # A copy, because the server may be on another thread.
        return iter(list(self._requests))

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "none"

    def of(self, operation: str) -> list[Request]:
        """Those for one operation, by its ID in the description. Raises HarnessError for an unknown one."""
        check_operation(operation)
        return [request for request in self if request.operation == operation]

    def assert_called(
        self,
        operation: str,
        *,
        times: int | None = None,
        body: Any = None,
        caller: str | None = None,
        status: int | None = None,
    ) -> None:
        """Raises AssertionError unless there was such a request: at least one, or exactly `times`.

        `body`: fields that it had, among others.
        """
        __tracebackhide__ = True
        found = [
            request
            for request in self.of(operation)
            if (body is None or _contains(request.body, body))
            and (caller is None or request.caller == caller)
            and (status is None or request.status == status)
        ]
        if len(found) != times if times is not None else not found:
            asked = {"body": body, "caller": caller, "status": status}
            given = "".join(f", {name}={value!r}" for name, value in asked.items() if value is not None)
            wanted = "at least once" if times is None else f"{times} times"
            raise AssertionError(f"{operation}{given}: wanted {wanted}, found {len(found)}. All requests:\n{self}")

    def assert_only(self, *operations: str) -> None:
        """Raises AssertionError when there were requests for anything else."""
        __tracebackhide__ = True
        for operation in operations:
            self.of(operation)
        others = [str(request) for request in self if request.operation not in operations]
        if others:
            raise AssertionError("Unexpected requests:\n" + "\n".join(others))

    def assert_order(self, *operations: str) -> None:
        """Raises AssertionError unless these came in this order, whatever came in between."""
        __tracebackhide__ = True
        for operation in operations:
            self.of(operation)
        made = iter([request.operation for request in self])
        for operation in operations:
            if operation not in made:
                raise AssertionError(f"Not in the order {', '.join(operations)}. All requests:\n{self}")

    def assert_valid(self) -> None:
        """Raises AssertionError when the description does not allow a request or a response. Needs strict mode."""
        __tracebackhide__ = True
        if not self.is_strict:
            raise HarnessError("Nothing is compared with the description; start the server with strict=True")
        wrong = self.wrong()
        if wrong:
            raise AssertionError(wrong)

    def wrong(self) -> str:
        """What assert_valid() says; empty when all is as described."""
        found = [str(request) for request in self if request.problems]
        return "\n".join(["Not as the API is described:", *found]) if found else ""


def _is_control(request: web.Request) -> bool:
    resource = request.match_info.route.resource
    return resource is not None and resource.canonical.startswith(CONTROLS)


def _contains(body: Any, wanted: Any) -> bool:
    """Whether the body has everything that is wanted, at the same places."""
    if isinstance(wanted, Mapping) and isinstance(body, Mapping):
        return all(name in body and _contains(body[name], value) for name, value in wanted.items())
    return bool(body == wanted)
