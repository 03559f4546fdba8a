"""When an out of office reply is due: the edges, daylight-saving changes, and any schedule at all."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.app.transactions.oof import is_in_force

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [ZoneInfo("UTC"), BERLIN, ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Kiritimati")]
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)

START, END = "2026-07-01 08:00:00", "2026-07-03 17:30:00"


@pytest.mark.parametrize("times", [(None, None), ("2030-01-01 00:00:00", "2030-01-02 00:00:00"), (START, END)])
def test_off_and_on_do_not_look_at_times(times: tuple[str | None, str | None]) -> None:
    """State 0 is never in force and state 1 always, whatever times are stored."""
    assert not is_in_force(0, *times, NOW, BERLIN)
    assert is_in_force(1, *times, NOW, BERLIN)


@pytest.mark.parametrize(("start", "end"), [(None, None), (START, None), (None, END)])
def test_a_schedule_without_a_time_is_never_in_force(start: str | None, end: str | None) -> None:
    """What no operation stores does no harm either."""
    assert not is_in_force(2, start, end, NOW, BERLIN)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-07-01 07:59:59", False),
        ("2026-07-01 08:00:00", True),
        ("2026-07-02 00:00:00", True),
        ("2026-07-03 17:29:59", True),
        ("2026-07-03 17:29:59.999999", True),
        ("2026-07-03 17:30:00", False),
        ("2027-07-02 00:00:00", False),
    ],
)
@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_from_the_start_until_before_the_end(now: str, expected: bool, zone: ZoneInfo) -> None:
    """The start belongs to a schedule and the end does not, by the clock of the zone."""
    assert is_in_force(2, START, END, datetime.fromisoformat(now).replace(tzinfo=zone), zone) is expected


# In 2026 the clocks of Berlin go from 02:00 to 03:00 on 29 March (01:00 UTC), and from 03:00 to 02:00 on 25 October.
@pytest.mark.parametrize(
    ("start", "end", "now", "expected"),
    [
        # Across the spring change: 24 hours by the clock are 23.
        ("2026-03-28 12:00:00", "2026-03-29 12:00:00", "2026-03-28 10:59:59", False),
        ("2026-03-28 12:00:00", "2026-03-29 12:00:00", "2026-03-28 11:00:00", True),
        ("2026-03-28 12:00:00", "2026-03-29 12:00:00", "2026-03-29 09:59:59", True),
        ("2026-03-28 12:00:00", "2026-03-29 12:00:00", "2026-03-29 10:00:00", False),
        # 02:30 does not exist: it is read with the offset before the change, +01:00, which is 03:30 after it.
        ("2026-03-29 02:30:00", "2026-03-29 12:00:00", "2026-03-29 01:29:59", False),
        ("2026-03-29 02:30:00", "2026-03-29 12:00:00", "2026-03-29 01:30:00", True),
        ("2026-03-29 00:00:00", "2026-03-29 02:30:00", "2026-03-29 01:29:59", True),
        ("2026-03-29 00:00:00", "2026-03-29 02:30:00", "2026-03-29 01:30:00", False),
        # Across the autumn change: 24 hours by the clock are 25.
        ("2026-10-24 12:00:00", "2026-10-25 12:00:00", "2026-10-24 09:59:59", False),
        ("2026-10-24 12:00:00", "2026-10-25 12:00:00", "2026-10-24 10:00:00", True),
        ("2026-10-24 12:00:00", "2026-10-25 12:00:00", "2026-10-25 10:59:59", True),
        ("2026-10-24 12:00:00", "2026-10-25 12:00:00", "2026-10-25 11:00:00", False),
        # 02:30 comes twice: a schedule begins with the first, of +02:00, and ends with the second, of +01:00.
        ("2026-10-25 02:30:00", "2026-10-25 12:00:00", "2026-10-25 00:29:59", False),
        ("2026-10-25 02:30:00", "2026-10-25 12:00:00", "2026-10-25 00:30:00", True),
        ("2026-10-25 00:00:00", "2026-10-25 02:30:00", "2026-10-25 00:30:00", True),
        ("2026-10-25 00:00:00", "2026-10-25 02:30:00", "2026-10-25 01:29:59", True),
        ("2026-10-25 00:00:00", "2026-10-25 02:30:00", "2026-10-25 01:30:00", False),
        # So one that ends at an earlier time of the clock than it begins can last a while all the same, in this night.
        ("2026-10-25 02:45:00", "2026-10-25 02:15:00", "2026-10-25 00:44:59", False),
        ("2026-10-25 02:45:00", "2026-10-25 02:15:00", "2026-10-25 00:45:00", True),
        ("2026-10-25 02:45:00", "2026-10-25 02:15:00", "2026-10-25 01:14:59", True),
        ("2026-10-25 02:45:00", "2026-10-25 02:15:00", "2026-10-25 01:15:00", False),
        # The skipped hour is read with the old offset: 02:30 is after 03:15, and this one is over before it begins.
        ("2026-03-29 02:30:00", "2026-03-29 03:15:00", "2026-03-29 01:20:00", False),
        ("2026-03-29 02:30:00", "2026-03-29 03:15:00", "2026-03-29 01:40:00", False),
    ],
)
def test_daylight_saving(start: str, end: str, now: str, expected: bool) -> None:
    """Around a change instants are compared, whether `now` comes with UTC or with the very zone of the schedule."""
    instant = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert is_in_force(2, start, end, instant, BERLIN) is expected
    assert is_in_force(2, start, end, instant.astimezone(BERLIN), BERLIN) is expected


def test_the_ends_of_the_calendar() -> None:
    """The first and the last time that the form can say do not overflow, east and west of Greenwich."""
    for zone in ZONES:
        assert is_in_force(2, "0001-01-01 00:00:00", "9999-12-31 23:59:59", NOW, zone)


def shown(text: str, zone: ZoneInfo) -> list[datetime]:
    """The instants at which a clock of the zone shows this; if none, the one by the offset from before the change.

    Found by trying the offsets of the days around, without any rule of `datetime` for such times.
    """
    local = datetime.fromisoformat(text)
    offsets = {(local + timedelta(days)).replace(tzinfo=zone).utcoffset() or timedelta(0) for days in (-1, 1)}
    instants = [(local - offset).replace(tzinfo=UTC) for offset in offsets]
    found = sorted(instant for instant in instants if instant.astimezone(zone).replace(tzinfo=None) == local)
    before = (local - timedelta(1)).replace(tzinfo=zone).utcoffset() or timedelta(0)
    return found or [(local - before).replace(tzinfo=UTC)]


# New York changes an hour, Lord Howe half of one, in the other half of the year.
CHANGES = {
    ZoneInfo("UTC"): ["2026-03-29 02:00:00"],
    BERLIN: ["2026-03-29 02:00:00", "2026-10-25 02:00:00"],
    ZoneInfo("America/New_York"): ["2026-03-08 02:00:00", "2026-11-01 01:00:00"],
    ZoneInfo("Australia/Lord_Howe"): ["2026-04-05 01:30:00", "2026-10-04 02:00:00"],
    ZoneInfo("America/St_Johns"): ["2026-03-08 02:00:00", "2026-11-01 01:00:00"],
    ZoneInfo("Pacific/Kiritimati"): ["2026-01-01 00:00:00"],
}
nearby = st.tuples(st.sampled_from([(zone, change) for zone in CHANGES for change in CHANGES[zone]]),
                   *[st.integers(-180 * 60, 180 * 60)] * 2)  # fmt: skip
seconds = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2037, 1, 1)).map(  # noqa: DTZ001 - local times
    lambda moment: str(moment.replace(microsecond=0))
)


def check_schedule(start: str, end: str, zone: ZoneInfo, moments: list[datetime]) -> None:
    """In force from the first moment that shows the start until before the last that shows the end, and never else."""
    first, last = shown(start, zone)[0], shown(end, zone)[-1]
    step = timedelta(microseconds=1)
    for moment in (first - step, first, last - step, last, *moments):
        expected = first <= moment < last
        for seen_from in (UTC, zone, BERLIN):
            assert is_in_force(2, start, end, moment.astimezone(seen_from), zone) is expected


@settings(max_examples=500)
@given(nearby, st.integers(-180, 180))
def test_in_force_around_a_change(case: tuple[tuple[ZoneInfo, str], int, int], minutes: int) -> None:
    """Whatever is scheduled in the night of a change begins once and ends once, as instants."""
    (zone, change), *distances = case
    start, end = (str(datetime.fromisoformat(change) + timedelta(seconds=distance)) for distance in distances)
    check_schedule(start, end, zone, [shown(change, zone)[0] + timedelta(minutes=minutes)])


@given(seconds, seconds, st.sampled_from(list(CHANGES)), st.lists(st.timedeltas(timedelta(-900), timedelta(900))))
def test_in_force_exactly_between_two_instants(
    start: str, end: str, zone: ZoneInfo, distances: list[timedelta]
) -> None:
    """Any schedule begins once, at its start, and ends once, at its end, in whatever zone `now` is given."""
    check_schedule(start, end, zone, [shown(start, zone)[0] + distance for distance in distances])
