"""What each second added to a carrier, a trunk or a range, epoch by epoch."""

from __future__ import annotations

import random

import pytest

from core.config import Caps
from core.money import MAX_NANOS, in_range
from core.record import Tick
from detectors import sums
from detectors.protocol import Limits
from detectors.sums import SUMS, TICK, gather

T_MS = 1_790_000_000_000
LIMITS = Limits(caps={"carrier": {("t1", "alpha"): Caps()}, "range": {("t1", "882"): Caps()}})
CALL = {"tenant": "t1", "account": "acme", "carrier": "alpha", "t_ms": T_MS, "currency": "EUR", "learned_ms": T_MS + 9, "call_id": "c1"}


def ticks(*places: tuple[int, int]):
    """Ticks at (partition, offset); each has a time of its own."""
    return [(partition, offset, Tick(at_ms=T_MS + offset, config_version=7)) for partition, offset in places]


def epochs(frame):
    """(partition, offset of the tick, its time, config version) -> its rows without them and without what is counted of ended calls."""
    found: dict = {}
    for row in frame.rows():
        found.setdefault(row[:4], []).append(row[4:15])
    return found


def end(rows: int = 0):
    """The row that ends an epoch of so many rows."""
    return ("", TICK, "", "", 0, "", 0, rows, 0, 0, "")


def test_the_rows_of_one_second_add_up(usage_of):
    frame = usage_of(
        CALL | {"nanos": 5, "calls": 1, "active": 1},
        CALL | {"nanos": 6, "calls": 1, "active": 1, "t_ms": T_MS + 999, "learned_ms": T_MS + 3, "call_id": "c2"},
        CALL | {"active": -1, "currency": "", "learned_ms": 0, "call_id": ""},
        CALL | {"nanos": 7, "t_ms": T_MS + 1000},
    )
    found = epochs(gather([], frame, ticks((0, 5)), LIMITS))
    assert found == {
        (0, 5, T_MS + 5, 7): [
            ("t1", "carrier", "alpha", "", T_MS, "", 0, 0, -1, 0, ""),
            ("t1", "carrier", "alpha", "", T_MS, "EUR", 11, 2, 2, T_MS + 9, "c2"),  # the latest time, the last call
            ("t1", "carrier", "alpha", "", T_MS + 1000, "EUR", 7, 0, 0, T_MS + 9, "c1"),
            end(3),
        ]
    }  # fmt: skip


def test_a_range_adds_up_by_account_and_a_carrier_over_all(usage_of):
    frame = usage_of(*(CALL | {"account": account, "b_number": "8821312", "calls": 1} for account in ("acme", "blue", "acme")))
    (rows,) = epochs(gather([], frame, ticks((0, 5)), LIMITS)).values()
    assert [(*row[:4], row[7]) for row in rows[:-1]] == [
        ("t1", "carrier", "alpha", "", 3),
        ("t1", "range", "882", "acme", 2),
        ("t1", "range", "882", "blue", 1),
    ]


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        ([3, 4], {5: 2, 9: 0}),
        ([5], {5: 1, 9: 0}),  # what the tick itself did belongs to the epoch that it ends
        ([6], {5: 0, 9: 1}),
        ([4, 6, 9], {5: 1, 9: 2}),
        ([10], {5: 0, 9: 0}),  # the next epoch, of a later batch
    ],
)
def test_a_row_belongs_to_the_epoch_of_the_next_tick_of_its_partition(usage_of, offsets, expected):
    frame = usage_of(*(CALL | {"offset": offset, "calls": 1} for offset in offsets))
    found = epochs(gather([], frame, ticks((0, 5), (0, 9)), LIMITS))
    assert {tick[1]: sum(row[7] for row in rows if row[1] != TICK) for tick, rows in found.items()} == expected
    assert list(found) == [(0, 5, T_MS + 5, 7), (0, 9, T_MS + 9, 7)]


def test_each_partition_has_epochs_of_its_own(usage_of):
    gathered: list = []
    frame = usage_of(CALL | {"partition": 1, "calls": 1}, CALL | {"partition": 0, "calls": 1}, CALL | {"partition": 2, "calls": 1})
    found = epochs(gather(gathered, frame, ticks((1, 5), (0, 7)), LIMITS))
    assert {tick[:2]: [row[7] for row in rows] for tick, rows in found.items()} == {(0, 7): [1, 1], (1, 5): [1, 1]}
    assert list(found) == [(0, 7, T_MS + 7, 7), (1, 5, T_MS + 5, 7)], "in the order of the partitions"
    assert [rows["partition"].to_list() for rows in gathered] == [[2]], "whose tick is yet to come"


@pytest.mark.parametrize(
    "changes", [{"carrier": "beta"}, {"carrier": ""}, {"tenant": "t2"}], ids=["no cap of this carrier", "no carrier", "another tenant's"]
)
def test_rows_without_a_watched_subject_are_not_added(usage_of, changes):
    frame = usage_of(CALL | changes | {"calls": 1})
    assert list(epochs(gather([], frame, ticks((0, 5)), LIMITS)).values()) == [[end()]]


def test_an_epoch_ends_even_if_nothing_is_watched(usage_of):
    assert list(epochs(gather([], usage_of(CALL), ticks((0, 5)), Limits())).values()) == [[end()]]
    nothing = gather([], usage_of(CALL | {"calls": 1}), [], LIMITS)
    assert nothing.height == 0 and nothing.schema == SUMS, "without a tick no epoch ends"


@pytest.mark.parametrize(("seed", "pieces"), [(1, 64), (2, 64), (3, 64), (4, 0), (5, 1)])
def test_batch_boundaries_change_no_epoch(usage_of, monkeypatch, seed, pieces):
    monkeypatch.setattr(sums, "MOST_PIECES", pieces)  # 0: what was gathered is summed up after each batch
    rng = random.Random(seed)
    log = [(offset, rng.random() < 0.2) for offset in range(60)]
    rows = {
        offset: CALL | {
            "offset": offset, "t_ms": T_MS + rng.randrange(3000), "nanos": rng.choice([rng.randrange(9), MAX_NANOS, -MAX_NANOS]),
            "calls": rng.randrange(2), "call_id": f"c{offset}", "carrier": rng.choice(["alpha", "beta"]),
        } for offset, is_tick in log if not is_tick
    }  # fmt: skip

    def gathered_of(*cuts: int) -> list:
        state: list = []
        found: list = []
        for start, stop in zip([0, *cuts], [*cuts, len(log)], strict=True):
            batch = log[start:stop]
            frame = usage_of(*(rows[offset] for offset, is_tick in batch if not is_tick))
            found += gather(state, frame, ticks(*((0, offset) for offset, is_tick in batch if is_tick)), LIMITS).rows()
        return found

    whole = gathered_of()
    assert whole and gathered_of(*sorted(rng.sample(range(1, 60), 12))) == whole


@pytest.mark.parametrize("amounts", [[MAX_NANOS, MAX_NANOS, -5], [-MAX_NANOS, -MAX_NANOS], [3, -4]])
def test_absurd_amounts_become_the_largest_there_is(usage_of, amounts):
    found = gather([], usage_of(*(CALL | {"nanos": nanos} for nanos in amounts)), ticks((0, 5)), LIMITS)
    assert found["nanos"][0] == in_range(sum(amounts))


@pytest.mark.parametrize(
    ("call", "added"),
    [
        ({"answered": False, "sip_code": 487, "t_ms": T_MS + 2_000}, {"ends": 1, "rings": 1}),
        ({"answered": False, "sip_code": 486}, {"ends": 1}),
        ({"ringing_ms": T_MS + 1_000, "answer_ms": T_MS + 1_300, "duration_ms": 90_000, "release_side": "callee"},
         {"answers": 1, "early": 1, "sided": 1, "by_callee": 1, "delay_ms": 1_300, "talk_ms": 90_000}),
        ({"ringing_ms": T_MS + 1_000, "answer_ms": T_MS + 9_000, "duration_ms": 22_400, "release_side": "caller"},
         {"answers": 1, "sided": 1, "briefs": 1, "brief_s": 22, "brief_s2": 484, "delay_ms": 9_000, "talk_ms": 22_400}),
        ({"answer_ms": T_MS + 9_000, "duration_ms": 3_000, "release_side": ""}, {"answers": 1, "shorts": 1, "delay_ms": 9_000, "talk_ms": 3_000}),
    ],
)  # fmt: skip
def test_what_a_call_that_ends_adds(usage_of, call, added):
    found = gather([], usage_of(CALL | {"final": True, "answered": True, "started_ms": T_MS, "t_ms": T_MS + 100_000} | call), ticks((0, 5)), LIMITS)
    row = found.row(0, named=True)
    names = ("ends", "rings", "answers", "shorts", "talk_ms", "delay_ms", "early", "sided", "by_callee", "briefs", "brief_s", "brief_s2")
    assert {name: row[name] for name in names if row[name]} == {"ends": 1} | added
