"""Gaps in a switch's sequence by counted bands: the same as the view says that looks at each number."""

from __future__ import annotations

import random

from assurance.controls import sequence
from warehouse import ask, control_queries, insert


def test_bands_find_the_gaps_of_the_view(client, rows):
    chance, there = random.Random(5), []
    for boot in ("b1", "b2"):
        start, size = chance.choice((1, 4)), control_queries.BAND
        numbers = [*range(start, 40), *range(size - 20, size + 30), *range(2 * size + 5, 2 * size + 9)]
        there += [(boot, number) for number in numbers if chance.random() > 0.1]
    chance.shuffle(there)
    insert(client, "records", rows.records(*(rows.record(place, boot_id=boot, seq=number) for place, (boot, number) in enumerate(there))))
    from_ms, to_ms = rows.NOON - 86_400_000, rows.NOON + 86_400_000
    bands = ask(client, control_queries.sequence("t1", from_ms, to_ms))
    found = sequence.between(bands, {}, 0)
    for row in bands:
        if row["have"] < row["last"] - row["first"] + 1:
            came = ask(client, control_queries.numbers(row["switch"], row["boot_id"], row["band"], from_ms))
            found += sequence.inside(row["switch"], row["boot_id"], [(one["number"], one["learned_ms"]) for one in came])
    view = ask(client, ("SELECT switch, boot_id, first_missing, last_missing FROM sequence_gaps", {}))
    assert sorted((gap.switch, gap.boot_id, gap.first, gap.last) for gap in found) == sorted(tuple(row.values()) for row in view)
    assert len(found) > 10


def test_a_boot_that_goes_on_from_an_earlier_day_has_no_gap_before_it(client, rows):
    day = 86_400_000
    early, late = (rows.record(place, boot_id="b1", seq=place + 7, learned_ms=rows.NOON + at) for place, at in ((0, -3 * day), (1, 0)))
    insert(client, "records", rows.records(early, late))
    (band,) = ask(client, control_queries.sequence("t1", rows.NOON - 1, rows.NOON + day))
    (before,) = ask(client, control_queries.earlier_numbers("t1", rows.NOON - 1, rows.NOON + day))
    assert (band["first"], before["last"]) == (8, 7)
    assert sequence.between([band], {("k1", "b1"): (7, before["to_ms"])}, 0) == []
    assert [gap[2:5] for gap in sequence.between([band], {}, 0)] == [(1, 7, 7)]
