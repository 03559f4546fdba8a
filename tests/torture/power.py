"""Power losses: what is acknowledged is on the disk, whatever part of the rest is.

The service runs under shim.c, which records its calls. Images of the disk are built from the record (disk.py), opened,
and compared.
"""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.torture.images import Images
from tests.torture.loads import of_a_load
from tests.torture.starts import SCENARIOS


def run(number: int, seconds: float, seed: int, say: Callable[[str], None], *, lie: bool = False) -> Images:
    """About so many images of a load of some seconds, and a share of each other scenario. `lie`: syncs do nothing."""
    found = Images(seed=seed, wanted=number)
    with TemporaryDirectory(prefix="torture-", dir=_room()) as place:
        of_a_load(Path(place), seconds, found, lie=lie)
        say(f"images of a load: {found.checked['load']}")
        found.wanted = max(20, number // 10)
        for name, scenario in SCENARIOS.items() if not lie else ():
            scenario(Path(place), name, found)
            say(f"images of {name}: {found.checked[name]}")
    return found


def _room() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a folder of its own is made there
