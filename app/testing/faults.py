"""Faults: what may go wrong with requests, armed one by one."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final, Literal, overload

from postroom.schemas.faults import KINDS, LONGEST_DELAY, FaultSchema
from postroom.testing.errors import HarnessError, loaded
from postroom.testing.operations import can_be, parts_of, reached

#: Most faults at a time.
_MOST: Final = 100
_SCHEMA: Final = FaultSchema()

#: Seconds, {"uniform": [least, most]} or {"lognormal": [median, sigma]}.
Delay = float | Mapping[str, Sequence[float]]


class Fault:
    """An armed fault. `fields` is what it was made from, as `docs/testing.md` lists it."""

    def __init__(self, number: int, fields: Mapping[str, Any], operations: frozenset[str]) -> None:
        self.id = number
        self.fields = fields
        #: The IDs of the operations that it can strike.
        self.operations = operations
        #: How many requests it has struck.
        self.struck = 0
        self._passed = 0
        self._random = Random(fields.get("seed", number))  # noqa: S311 - the same in each run # nosec B311
        self._pattern = parts_of(fields["path"]) if "path" in fields else None

    @property
    def kind(self) -> str | None:
        """What happens to a request; None: nothing but a delay."""
        return next((kind for kind in KINDS if kind in self.fields), None)

    @property
    def is_late(self) -> bool:
        """Whether it strikes after the request has been done."""
        fields = self.fields
        return fields.get("when") == "after" or "broken" in fields or fields.get("cut", "before") != "before"

    @property
    def document(self) -> dict[str, Any]:
        """The same as a document, with its ID and how many requests it has struck."""
        return {"ID": self.id, **self.fields, "struck": self.struck}

    @property
    def is_over(self) -> bool:
        """Whether it has struck as often as it should."""
        return "times" in self.fields and self.struck >= self.fields["times"]

    def __str__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in self.fields.items())
        return f"fault {self.id} ({said})"

    def matches(self, operation: str | None, method: str, path: str) -> bool:
        """Whether it is about such requests."""
        return (
            self.fields.get("operation") in (None, operation)
            and self.fields.get("method") in (None, method)
            and (self._pattern is None or can_be(self._pattern, parts_of(path)))
        )

    def strike(self) -> bool:
        """Whether it strikes this request, which it is about. Counts it."""
        if self.is_over:
            return False
        if self._passed < self.fields.get("skip", 0):
            self._passed += 1
            return False
        if self._random.random() >= self.fields.get("probability", 1):
            return False
        self.struck += 1
        return True

    def seconds(self) -> float:
        """How long its next delay takes."""
        delay = self.fields.get("delay", 0)
        if not isinstance(delay, dict):
            return float(delay)
        ((name, (first, second)),) = delay.items()
        if name == "uniform":
            return float(self._random.uniform(first, second))
        return float(min(first * self._random.lognormvariate(0, second), LONGEST_DELAY))

    def hides(self, later: "Fault") -> bool:
        """Whether the later one could never strike, because this one strikes all of its requests."""
        return (
            # Not every request asks a directory, or has a login.
            self.kind not in (None, "directory", "login")
            and later.kind is not None
            and not (later.kind == "directory" and self.is_late)
            and not self.fields.keys() & {"times", "skip", "probability", "method", "path"}
            and later.operations <= self.operations
        )


class Faults(Sequence[Fault]):
    """The faults that are armed, in the order in which they were added. May be used from any thread."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._numbers = itertools.count(1)

    def add(
        self,
        *,
        operation: str | None = None,
        method: str | None = None,
        path: str | None = None,
        times: int | None = None,
        skip: int | None = None,
        probability: float | None = None,
        seed: int | None = None,
        delay: Delay | None = None,
        when: Literal["before", "after"] | None = None,
        status: int | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        cut: Literal["before", "middle", "after"] | None = None,
        reset: bool | None = None,
        broken: Literal["truncated", "garbled", "empty"] | None = None,
        directory: Literal["away"] | None = None,
        login: Literal["expired"] | None = None,
    ) -> Fault:
        """Arms a fault; docs/testing.md says what each field means. Raises HarnessError."""
        given = {
            "operation": operation, "method": method, "path": path, "times": times, "skip": skip,
            "probability": probability, "seed": seed, "delay": delay, "when": when, "status": status, "body": body,
            "headers": headers, "cut": cut, "reset": reset, "broken": broken, "directory": directory, "login": login,
        }  # fmt: skip
        return self.load({name: value for name, value in given.items() if value is not None})

    def load(self, document: Any) -> Fault:
        """Arms a fault that is described as a document. Raises HarnessError."""
        fields = loaded(_SCHEMA, document, "faults.add")
        try:
            operations = reached(*(fields.get(name) for name in ("operation", "method", "path")))
        except HarnessError as error:
            raise HarnessError(f"faults.add: {error}") from None
        fault = Fault(next(self._numbers), fields, operations)
        for earlier in list(self._armed):
            if earlier.hides(fault):
                raise HarnessError(
                    f"faults.add: {earlier} strikes all of these requests already. Remove that, or give it times"
                )
        if len(self._armed) >= _MOST:
            raise HarnessError(f"faults.add: There are {_MOST} faults already; faults.clear() removes them")
        self._armed.append(fault)
        return fault

    def find(self, number: int) -> Fault:
        """The fault with this ID. Raises HarnessError."""
        for fault in self:
            if fault.id == number:
                return fault
        there = ", ".join(str(fault.id) for fault in self) or "none"
        raise HarnessError(f"faults.remove: There is no fault {number}; armed are {there}")

    def remove(self, fault: Fault | int) -> None:
        """Disarms a fault, or the one with this ID. Raises HarnessError when there is none."""
        self._armed.remove(self.find(fault.id if isinstance(fault, Fault) else fault))

    def clear(self) -> None:
        """Disarms all."""
        self._armed.clear()
        self._numbers = itertools.count(1)

    def assert_struck(self) -> None:
        """Raises AssertionError when a fault has struck no request, or not yet as many as its `times`."""
        __tracebackhide__ = True
        if any(fault.struck < fault.fields.get("times", 1) for fault in self):
            raise AssertionError(
                f"Not all faults have struck. None strikes server.admin, nor what server.login() returns:\n{self}"
            )

    @overload
    def __getitem__(self, index: int) -> Fault: ...
    @overload
    def __getitem__(self, index: slice) -> list[Fault]: ...
    def __getitem__(self, index: int | slice) -> Fault | list[Fault]:
        return list(self._armed)[index]

    def __len__(self) -> int:
        return len(self._armed)

    def __iter__(self) -> Iterator[Fault]:
        # A copy, because the server may be on another thread.
        return iter(list(self._armed))

    def __str__(self) -> str:
        return "\n".join(f"{fault} has struck {fault.struck} times" for fault in self) or "none"
