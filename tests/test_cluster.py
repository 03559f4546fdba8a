"""A cluster of PostgreSQL under load, of which servers and nodes are killed: nothing acknowledged is lost."""

from random import SystemRandom

import pytest

from tests.cluster.kills import run
from tests.cluster.servers import missing

#: In these seconds as many as possible are killed; the last one may take some more, and so does the start.
SECONDS = 170


@pytest.mark.cluster
@pytest.mark.skipif(bool(missing()), reason=f"Debian packages are missing: {' '.join(missing())}")
@pytest.mark.timeout(420)
def test_kills_under_load() -> None:
    """No acknowledged write is lost, no answer lies, and writes go on after each kill."""
    found = run(20, SystemRandom().randrange(1_000_000), SECONDS, print)
    print("\n".join(found.lines()))
    assert found.kills >= 3
    assert not found.ledger.lost
    assert not found.ledger.lies
    assert sum(found.ledger.acknowledged.values()) > 100
