"""Formats that lose half of a time, or are ambiguous, are refused."""

from __future__ import annotations

import re

import pytest

from core.time_format import check_time_format


@pytest.mark.parametrize(
    "how",
    [
        "%Y-%m-%d", "%d.%m.%y %H:%M", "%c", "%x %X", "%Y-%j", "%G-W%V-%u", "%G %V %A", "%Y %U %a", "%Y %W %w", "%d %b %Y", "%B %d %Y",
        "%Y%m%d%H%M%S%f", "%m/%d/%Y %I:%M %p", "100%% %Y-%m-%d", "%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S %Z",
    ],
)  # fmt: skip
def test_a_format_with_a_whole_date_is_taken_as_it_is(how: str):
    assert check_time_format(how) == how


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("%Q %Y-%m-%d", "%Q is none of strptime's directives"),
        ("%Y-%m-%d %", "% is none of strptime's directives"),
        ("%Y-%m-%d %d", "has %d twice"),
        ("%Y-%m-%d %H %p", "has %p"),
        ("%Y-%m-%d %I:%M", "has %I, hours from 1 to 12, and no %p"),
        ("%Y-%m-%d %y", "says the year twice, by %Y and %y"),
        ("%Y-%m-%d %H %I %p", "says the hour twice, by %H and %I"),
        ("%Y-%m-%d %b", "says the month twice, by %b and %m"),
        ("%Y-%j %m-%d", "says the month twice, by %j and %m"),
        ("%c %Y", "says the year twice"),
        ("%H:%M:%S", "has not the whole date"),
        ("%m-%d", "has not the whole date"),
        ("%Y-%m", "has not the whole date"),
        ("%Y %d", "has not the whole date"),
        ("%Y %U", "has not the whole date"),
        ("%Y %a", "has not the whole date"),
        ("%G %V", "has not the whole date"),
        ("%G %u", "has not the whole date"),
        ("%G-%m-%d", "has not the whole date"),
    ],
)
def test_a_lossy_or_ambiguous_format_is_refused(how: str, reason: str):
    with pytest.raises(ValueError, match=re.escape(reason)):
        check_time_format(how)
