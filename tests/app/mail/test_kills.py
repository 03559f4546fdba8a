"""Questions of mail servers while everything changes and is killed: no answer is wrong."""

from random import SystemRandom

import pytest

from tests.torture import mail

pytestmark = pytest.mark.mail

#: Another one at each run; what fails says which it was.
SEED = SystemRandom().randrange(1_000_000)


async def test_no_answer_is_wrong() -> None:
    """A worker and the whole service are killed, it is upgraded, and away for a moment."""
    extent = mail.Extent(seconds=3, kills=2, away=0.5, questions=100, changes=30)
    found = await mail.run(extent, SEED, print)
    assert found.faults == [], SEED
    assert found.outcomes["deferred"] == 0, SEED
    assert found.outcomes["right"] > 50
    assert found.outcomes["changes"] > 10


@pytest.mark.torture
@pytest.mark.timeout(300)
async def test_no_answer_is_wrong_for_longer() -> None:
    """The same for longer, with more kills. `python -m tests.torture --only mail` does it for ten minutes."""
    found = await mail.run(mail.Extent(), SEED, print)
    assert found.faults == [], SEED
    assert found.outcomes["deferred"] <= found.outcomes["right"] / 1000, SEED
    assert found.outcomes["right"] > 1000
