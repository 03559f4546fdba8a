"""How often a password may be tried, by name, by source, and by name from one source."""

import logging

import pytest

from postroom.app.auth import throttle
from postroom.app.auth.throttle import LoginSource, Throttle
from postroom.app.errors import LoginFailedError, ThrottledError


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def source(number: int, *, shared: bool = False) -> LoginSource:
    """One of many."""
    return LoginSource(number.to_bytes(4), f"192.0.2.{number % 256}", shared)


HERE = source(1)


class Logins:
    """Attempts at a throttle with three failures for nothing and a longest delay of 60 seconds."""

    def __init__(self, free: int = 3) -> None:
        self.clock = Clock()
        self.throttle = Throttle(free, 60, self.clock)

    def fails(self, name: str = "jane", at: LoginSource = HERE) -> int:
        """The seconds for which a wrong login is refused; 0: it is looked at."""
        try:
            with self.throttle.attempt(name, at):
                raise LoginFailedError
        except LoginFailedError:
            return 0
        except ThrottledError as error:
            return error.retry_after or 0

    def succeeds(self, name: str = "jane", at: LoginSource = HERE) -> bool:
        """Whether a right login is looked at."""
        try:
            with self.throttle.attempt(name, at) as tried:
                tried.matched = True
        except ThrottledError:
            return False
        return True


@pytest.fixture
def logins() -> Logins:
    """A throttle."""
    return Logins()


def test_delays_grow(logins: Logins) -> None:
    """After the free failures each one doubles the delay, up to the longest; what is refused does not count."""
    delays = []
    for _ in range(10):
        while not (seconds := logins.fails()):
            pass
        assert logins.fails() == seconds
        delays.append(seconds)
        logins.clock.now += seconds
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_delays_end(logins: Logins) -> None:
    """Somebody who then knows the password is let in, and begins anew; all is forgotten after a quarter of an hour."""
    for _ in range(4):
        logins.fails()
    assert not logins.succeeds()
    logins.clock.now += 1
    assert logins.succeeds()
    assert [logins.fails() for _ in range(4)] == [0, 0, 0, 1]
    logins.clock.now += 901
    assert [logins.fails() for _ in range(4)] == [0, 0, 0, 1]


def test_names_are_counted_folded_and_whether_or_not_they_exist(logins: Logins) -> None:
    """JANE is jane, in any script, and no name is another's."""
    for name in ("Straße@example.org", "STRASSE@EXAMPLE.ORG", "strasse@example.org"):
        assert logins.fails(name) == 0
    assert logins.fails("strasse@example.org") == 1
    assert logins.fails("strasse") == 0
    assert logins.fails("\ud800" * 320) == 0


def test_a_source_is_throttled_over_names(logins: Logins) -> None:
    """Who tries one password on many names is slowed down; one of the names is not, from elsewhere."""
    assert [logins.fails(f"user{number}") for number in range(16)] == [0] * 15 + [1]
    assert logins.succeeds("user3", source(2))
    assert logins.fails("user3", source(2)) == 0


def test_one_source_does_not_shut_a_name_out(logins: Logins) -> None:
    """However often one source fails for a name, a login from elsewhere is looked at."""
    for _ in range(1000):
        logins.fails()
        logins.clock.now += 0.1
    assert logins.fails() > 0
    assert logins.succeeds("jane", source(2))


def test_a_name_is_throttled_over_sources(logins: Logins) -> None:
    """Many sources that each fail a little are slowed down together."""
    assert [logins.fails("jane", source(number)) for number in range(16)] == [0] * 15 + [1]
    assert logins.fails("john", source(99)) == 0


def test_a_user_s_own_source_goes_on(logins: Logins) -> None:
    """While others try the name from everywhere, it works from where it has worked before, or where its token was."""
    assert logins.succeeds("jane", source(500))
    logins.throttle.recognise("jane", source(501))
    for number in range(200):
        logins.fails("jane", source(number))
    assert not logins.succeeds("jane", source(502))
    assert logins.succeeds("jane", source(500))
    assert logins.succeeds("jane", source(501))
    # Not without an end: there, too, only so many failures are free.
    assert [logins.fails("jane", source(500)) for _ in range(4)] == [0, 0, 0, 1]
    logins.clock.now += 31 * 24 * 3600
    for number in range(200):
        logins.fails("jane", source(number))
    assert not logins.succeeds("jane", source(500))


def test_an_own_login_does_not_pay_for_others(logins: Logins) -> None:
    """Who logs in as themselves between two guesses guesses no faster: their success takes back nothing."""
    for number in range(15):
        logins.fails(f"user{number}")
        logins.succeeds("mallory")
    assert logins.fails("somebody") == 1


def test_many_at_once_are_no_way_around(logins: Logins) -> None:
    """Attempts whose outcome is open count as failures; those that were right make room for others."""
    with logins.throttle.attempt("jane", source(1)) as one, logins.throttle.attempt("jane", source(1)) as two:
        with logins.throttle.attempt("jane", source(1)) as three:
            assert logins.fails() == 1
            three.matched = True
        one.matched = two.matched = True
    assert [logins.fails() for _ in range(4)] == [0, 0, 0, 1]


def test_shared_sources_are_not_throttled_as_a_whole(logins: Logins) -> None:
    """Behind a source that may be everybody, each name is counted by itself."""
    for number in range(100):
        assert logins.fails(f"user{number}", source(1, shared=True)) == 0
    assert [logins.fails("jane", source(1, shared=True)) for _ in range(4)] == [0, 0, 0, 1]
    # And nobody is known there: otherwise everybody behind it would learn whose names exist.
    logins.clock.now += 1
    assert logins.succeeds("jane", source(1, shared=True))
    for number in range(200):
        logins.fails("jane", source(number))
    assert not logins.succeeds("jane", source(1, shared=True))


def test_it_can_be_switched_off() -> None:
    """With 0 nothing is ever refused."""
    off = Logins(free=0)
    assert {off.fails() for _ in range(1000)} == {0}


def test_memory_has_a_bound(logins: Logins, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and sources that are made up push out those that failed least lately, and no more than so many are kept."""
    monkeypatch.setattr(throttle, "_MOST", 50)
    for number in range(500):
        logins.fails(f"user{number}", source(number))
        logins.succeeds(f"user{number}", source(1000 + number))
        logins.fails("jane", source(number % 2))
    kept = logins.throttle
    assert len(kept._known) == 50
    assert max(len(each._counters) for each in (kept._pairs, kept._names, kept._sources)) == 50
    assert logins.fails("jane", source(1)) > 0


def test_a_counter_that_is_pushed_out_while_it_counts(logins: Logins, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that goes on longer than it is remembered ends without harm."""
    monkeypatch.setattr(throttle, "_MOST", 1)
    with logins.throttle.attempt("jane", HERE):
        logins.fails("john", source(2))
    assert logins.fails() == 0


def test_who_hangs_up_has_tried(logins: Logins, caplog: pytest.LogCaptureFixture) -> None:
    """What breaks an attempt off counts as a failure, and is none in the log: nobody knows how it would have ended."""
    for _ in range(3):
        with pytest.raises(RuntimeError), logins.throttle.attempt("jane", source(1)):
            raise RuntimeError
    assert not caplog.messages
    assert logins.fails() == 1


def test_lines_of_the_log(logins: Logins, caplog: pytest.LogCaptureFixture) -> None:
    """Each failure is one line; of what is refused, one for each delay."""
    with caplog.at_level(logging.INFO, "postroom.logins"):
        for _ in range(10):
            logins.fails("jane")
    assert caplog.messages == ['Login failed from 192.0.2.1 for "jane"'] * 3 + [
        'Login refused from 192.0.2.1 for "jane"'
    ]
    caplog.clear()
    logins.succeeds("john")
    logins.fails('x" from 198.51.100.1 for "\nLogin failed from 198.51.100.1 for \x1b[31m\u202e\\' + "y" * 500)
    (line,) = caplog.messages
    assert line.isprintable()
    assert line.startswith('Login failed from 192.0.2.1 for "x\\" from 198.51.100.1 for \\" Login failed')
    assert line.endswith('y"')
    assert len(line) < 200
