"""When a rate is in force, and local time on the nights when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.window import DAY_S, MONTHS, WEEKDAYS, Window, day_of, parse, zone

HOLIDAYS = {"at": frozenset({day_of("2026-12-25")})}


@pytest.mark.parametrize(
    ("text", "moment", "holds"),
    [
        ("mon-fri", "2026-11-27 00:00:00", True),  # a Friday
        ("mon-fri", "2026-11-28 00:00:00", False),
        ("fri-mon", "2026-11-29 12:00:00", True),
        ("sat,sun", "2026-11-29 23:59:59", True),
        ("08:00-18:00", "2026-11-27 08:00:00", True),
        ("08:00-18:00", "2026-11-27 18:00:00", False),
        ("18:00-", "2026-11-27 23:59:59", True),
        ("18:00-", "2026-11-28 00:00:00", False),
        ("22:00-06:00", "2026-11-28 05:59:59", True),
        ("22:00-06:00", "2026-11-28 06:00:00", False),
        ("mon 22:00-06:00", "2026-11-30 03:00:00", True),  # Monday's own first hours
        ("mon 22:00-06:00", "2026-12-01 03:00:00", False),
        ("08:00:30-08:01", "2026-11-27 08:00:29", False),
        ("dec-jan", "2026-12-01 00:00:00", True),
        ("dec-jan", "2026-11-30 23:59:59", False),
        ("d1-15,d31", "2026-12-31 00:00:00", True),
        ("d1-15,d31", "2026-12-16 00:00:00", False),
        ("2026-12-24..2027-01-06", "2027-01-06 23:59:59", True),
        ("2026-12-24..2027-01-06", "2027-01-07 00:00:00", False),
        ("2026-12-24", "2026-12-25 00:00:00", False),
        ("holiday:at", "2026-12-25 12:00:00", True),
        ("workday:at", "2026-12-25 12:00:00", False),
        ("workday:at mon-fri 08:00-18:00", "2026-12-28 12:00:00", True),
        ("holiday:none", "2026-12-25 12:00:00", False),  # a list that is not there has no day
        ("", "2026-12-25 12:00:00", True),
    ],
)
def test_a_window_at_a_local_moment(text, moment, holds):
    day, second = day_of(moment[:10]), sum(int(part) * unit for part, unit in zip(moment[11:].split(":"), (3600, 60, 1), strict=True))
    assert parse(text).holds(day, second, HOLIDAYS) is holds


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("weekend", "'weekend' is no part of a window"),
        ("mon-xxx", "'mon-xxx' is no part of a window"),
        ("25:00-26:00", "time '25:00-26:00' is none"),
        ("08:00-08:00", "time '08:00-08:00' is none"),
        ("08:60-09:00", "time '08:60-09:00' is none"),
        ("24:00-", "time '24:00-' is none"),
        ("2026-02-31", "'2026-02-31' is no date"),
        ("2026-12-24..2026-12-01", "the last lies before the first"),
        ("mon tue", "'tue' says a second time what another part says"),
        ("08:00-10:00 12:00-14:00", "'12:00-14:00' says a second time"),
        ("d0", "'d0' is no part of a window"),
        ("d1-32", "'d1-32' is no part of a window"),
        ("holiday:", "'holiday:' is no part of a window"),
    ],
)
def test_what_is_no_window_is_refused_with_what_to_write(text, fault):
    with pytest.raises(ValueError, match=fault):
        parse(text)


windows = st.builds(
    Window,
    weekdays=st.frozensets(st.integers(1, 7)), months=st.frozensets(st.integers(1, 12)), month_days=st.frozensets(st.integers(1, 31)),
    dates=st.sampled_from([(), ((day_of("2026-01-01"), day_of("2026-06-30")),)]), holidays=st.sampled_from(["", "at"]), on_holidays=st.booleans(),
    from_s=st.sampled_from([0, 3600, 82_800]), until_s=st.sampled_from([DAY_S, 7200, 60]),
)  # fmt: skip


@given(windows, st.lists(st.tuples(st.integers(day_of("2024-01-01"), day_of("2028-12-31")), st.integers(0, DAY_S - 1)), min_size=1))
@settings(deadline=None)
def test_many_moments_are_as_one(window, moments):
    days, seconds = (np.asarray(column, np.int64) for column in zip(*moments, strict=True))
    assert window.holds_all(days, seconds, HOLIDAYS).tolist() == [window.holds(day, second, HOLIDAYS) for day, second in moments]


@given(windows)
def test_what_is_written_reads_to_the_same(window):
    plain = window if window.holidays else Window(**{**window.__dict__, "on_holidays": True})
    assert parse(plain.text) == plain and len(WEEKDAYS) == 7 and len(MONTHS) == 12


ZONES = ["UTC", "Europe/Vienna", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca"]


@given(st.sampled_from(ZONES), st.integers(0, 2_800_000_000_000))
@settings(max_examples=300, deadline=None)
def test_local_time_is_that_of_the_zone(name, at_ms):
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(name))
    offset = local.utcoffset()
    assert offset is not None
    assert zone(name).local_s(at_ms) - at_ms // 1000 == offset.total_seconds()
    assert zone(name).local_s_all(np.asarray([at_ms])).tolist() == [zone(name).local_s(at_ms)]


@pytest.mark.parametrize(
    ("change", "before", "after"), [("2026-03-29T01:00:00+00:00", 3600, 7200), ("2026-10-25T01:00:00+00:00", 7200, 3600)]
)
def test_clocks_change_to_the_millisecond(change, before, after):
    at_ms = round(datetime.fromisoformat(change).timestamp() * 1000)
    vienna = zone("Europe/Vienna")
    assert [vienna.local_s(moment) - moment // 1000 for moment in (at_ms - 1, at_ms)] == [before, after]
    assert vienna.next_change_ms(np.asarray([at_ms - 1])).tolist() == [at_ms]


@pytest.mark.parametrize("name", ["Vienna", "", "../etc/passwd", "Europe/Vienna\0"])
def test_what_is_no_zone_is_refused(name):
    with pytest.raises(ValueError, match="is none: write a name of the IANA database"):
        zone(name)
