"""Clocks that jump, and events that come hours late and out of order: an attack is found, and nothing stops."""

from __future__ import annotations

import random

import msgspec
import polars as pl
import pytest

from core.policy import Policy
from core.record import Tick
from core.safety import Protected
from detectors.engine import detect
from detectors.protocol import Limits, Settings
from detectors.registry import spanning
from detectors.state import DetectorState
from detectors.sums import SUMS

HOUR_MS = 3_600_000
T_MS = 500_000 * HOUR_MS
CALL = {
    "tenant": "t1", "account": "acme", "a_number": "4366", "a_kind": "e164", "b_kind": "e164", "calls": 1, "answered": True, "active": 1,
    "currency": "EUR", "nanos": 4 * 10**9,
}  # fmt: skip
RULES = Settings(lambda _: Policy(novelty_alerts_per_day=9), lambda _: Protected(), lambda *_: "EUR", Limits(novelty=lambda _: True))
N = 40


@pytest.mark.parametrize(
    ("what", "happened_ms"),
    [
        ("as they happen", lambda no: 9_000 * no),
        ("an hour late, the newest first", lambda no: 9_000 * (N - no) - HOUR_MS),
        ("an hour late, in any order", lambda no: 9_000 * (no * 17 % N) - HOUR_MS),
        ("three hours late", lambda no: 9_000 * no - 3 * HOUR_MS),
        ("the clock jumps back an hour", lambda no: 9_000 * no - HOUR_MS * (no > N // 4)),
        ("every second one is of a switch that is an hour behind", lambda no: 9_000 * no - HOUR_MS * (no % 2)),
        ("a week is caught up at once", lambda no: 9_000 * no - 168 * HOUR_MS),
        ("1970", lambda no: -T_MS + no),
    ],
)
def test_an_attack_is_found_whatever_its_times_say(usage_of, what, happened_ms):
    rows = [
        CALL | {"offset": 2 * no, "call_id": f"c{no}", "call_key": f"k{no}", "b_number": f"88213001{37 * no:04}", "learned_ms": T_MS + 9_000 * no,
                "t_ms": T_MS + happened_ms(no), "started_ms": T_MS + happened_ms(no)}
        for no in range(N)
    ]  # fmt: skip
    ticks = [(0, 2 * no + 1, Tick(at_ms=T_MS + 9_000 * no, config_version=1)) for no in range(N)]
    state = DetectorState(b"s")
    found = detect(state, usage_of(*rows), ticks, RULES)
    assert {one.subject.partition(">")[0].partition("/")[0] for one in found.findings} == {"acme"}, what
    assert all(one.first_ms <= one.last_ms <= one.learned_ms for one in found.findings), what
    assert all(order.expires_at_ms > order.learned_ms for order in found.orders), "an hour is an hour from when we learned of it"
    later, back = Tick(at_ms=T_MS + 999 * HOUR_MS, config_version=1), Tick(at_ms=T_MS, config_version=1)
    assert detect(state, usage_of(), [(0, 2 * N, later), (0, 2 * N + 1, back)], RULES).findings == []


@pytest.mark.parametrize("detector", spanning(), ids=lambda one: one.name)
@pytest.mark.parametrize("seed", [1, 2])
def test_sums_of_any_time_in_any_order_stop_no_detector_over_partitions(detector, seed):
    rng, state = random.Random(seed), detector.state()
    subjects = {"route": "2348\x1f{}", "sim": "43660{0}\x1f2320100000000{0}\x1f3569{0}\x1fcell\x1f43664{0}", "long": "43664{}\x1f4312345{}"}
    for number in range(30):
        rows = []
        for _ in range(12):
            kind = rng.choice([*detector.sums])
            subject = subjects.get(kind, "acme{}").format(*[rng.randrange(10, 15)] * 2)
            at_ms = rng.choice([T_MS, T_MS - 3 * HOUR_MS, T_MS + 400 * HOUR_MS, 0]) + number * 60_000
            counts = {name: rng.randrange(50) for name, dtype in SUMS.items() if dtype.is_integer() and not name.endswith("_ms")}
            rows.append({name: "" if dtype == pl.String else 0 for name, dtype in SUMS.items()} | counts | {
                "tenant": "t1", "kind": kind, "subject": subject, "account": "acme", "second_ms": at_ms // 1000 * 1000, "currency": "EUR",
                "talk_ms": rng.randrange(10**6), "call_id": f"c{number}", "learned_ms": T_MS})  # fmt: skip
        findings, orders = detector.detect(state, pl.DataFrame(rows, schema=SUMS), RULES)
        assert msgspec.json.encode([findings, orders])
        detector.forget(state, T_MS + number * 60_000)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=detector.state, strict=False) == state
