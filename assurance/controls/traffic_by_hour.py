"""Does each switch and trunk send as many calls as it does at this hour of the week?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import median

from assurance.controls.protocol import Control, Facts, Item, rows

WEEK_H = 168
LEAST = 40


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`hours`: `switch`, `ingress_trunk`, `hour` (since 1970), `calls`, of the period and four weeks before it; `trunks`: calls and sales of each."""
    from_h, to_h = facts.from_ms // 3_600_000, facts.to_ms // 3_600_000
    calls: dict[tuple[str, str], dict[int, int]] = {}
    for row in rows(facts, "hours"):
        by_hour = calls.setdefault((row["switch"], row["ingress_trunk"]), {})
        by_hour[row["hour"]] = by_hour.get(row["hour"], 0) + row["calls"]
    money = {(row["switch"], row["ingress_trunk"]): (row["calls"], row["nanos"], row["currency"]) for row in reversed(list(rows(facts, "trunks")))}
    looked, items = 0, []
    for key, by_hour in calls.items():
        if max(by_hour.values()) < LEAST:
            continue  # no hour of it can have a normal that is large enough
        first = min(by_hour)
        for hour in range(from_h, to_h):
            before = [by_hour.get(hour - weeks * WEEK_H, 0) for weeks in range(1, 5) if hour - weeks * WEEK_H >= first]
            if len(before) < 2:
                continue  # its own normal is not known yet
            normal = median(before)
            if normal < LEAST:
                continue
            looked += 1
            have = by_hour.get(hour, 0)
            if have < normal / 2 and have < normal - 5 * normal**0.5:
                count, nanos, currency = money.get(key, (0, 0, ""))
                absent = round(normal - have)
                when = datetime.fromtimestamp(hour * 3600, UTC)
                words = f"switch {key[0]}, trunk {key[1] or '(none)'}: {have} calls in the hour of {when:%Y-%m-%d %H:%M} UTC, normally {normal:.0f}"
                items.append(Item(words, absent, absent * nanos // max(count, 1), currency))
    return looked, iter(items)


CONTROL = Control(
    name="traffic_by_hour",
    asks="each switch and trunk sends as many calls as is normal for the hour of the week",
    formula=(
        "calls of an hour against the median of the same hour of the four weeks before; found below half of it by more than five times the "
        "square root of it"
    ),
    tolerance="hours that normally have fewer than 40 calls are left out",
    schedule="hourly",
    money="calls missing x the average sale per call of the trunk, an estimate",
    remedy="look whether the trunk was down or its records are missing",
    needs=("hours", "trunks"),
    find=find,
)
