"""The parts of the torture, each of which runs in a process of its own, and what each has come to."""

import asyncio
import logging
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.torture import faults, kills, mail, power

#: Seconds of load that are recorded for the images.
_RECORDED: Final = 5.0


@dataclass
class Part:
    """What one part of the torture has come to."""

    name: str
    figures: dict[str, int] = field(default_factory=dict)
    #: kind of write -> how many were acknowledged.
    acknowledged: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def of_kills(engine: str, number: int, seed: int) -> Part:
    """Kills on an engine."""
    found = kills.run(engine, number, seed, _say)
    done = {f"killed {kind}": count for kind, count in found.killed.items()}
    return Part(f"kills on {engine}", {**done, **found.figures}, dict(found.acknowledged), found.faults)


def of_images(number: int, seed: int) -> Part:
    """Power losses, and the proof that they are noticed."""
    logging.getLogger("postroom").setLevel(logging.ERROR)  # of the copies in plain text, for each image
    found = power.run(number, _RECORDED, seed, _say)
    liar = power.run(50, 1.0, seed, _say, lie=True)
    figures = {f"images of {name}": count for name, count in found.checked.items()}
    figures |= {"acknowledged writes": found.acknowledged, "served as a whole": found.served}
    figures |= {"wrong": len(found.faults), "wrong where syncs do nothing": len(liar.faults)}
    blind = [] if liar.faults else ["no loss was found although nothing was synced: the test sees nothing"]
    return Part("power losses", figures, {}, [*found.faults, *blind])


def of_faults(extent: faults.Extent, seed: int) -> Part:
    """Faults of the disk, the clock and the machine."""
    outcomes = asyncio.run(faults.run(extent, seed, "", _say))
    figures = {f"{each.name}, recovered of {each.injected}": each.recovered for each in outcomes}
    figures["injected"] = sum(each.injected for each in outcomes)
    figures["recovered"] = sum(each.recovered for each in outcomes)
    return Part("faults", figures, {}, [line for each in outcomes for line in each.faults])


def of_mail(seconds: float, seed: int) -> Part:
    """Questions of mail servers, while everything changes and is killed."""
    extent = mail.Extent(seconds, kills=10, away=30, questions=500, changes=200)
    found = asyncio.run(mail.run(extent, seed, _say))
    figures = {**found.figures, "wrong": len(found.faults)}
    return Part("mail", figures, {"change": found.outcomes["changes"]}, found.faults)


def timed(name: str, run: Callable[..., Part], *arguments: object) -> Part:
    """A part with the seconds that it took; one that breaks off says why."""
    begun = time.monotonic()
    try:
        part = run(*arguments)
    except Exception:  # noqa: BLE001 - the other parts go on
        part = Part(name, faults=[traceback.format_exc()])
    part.seconds = time.monotonic() - begun
    return part
