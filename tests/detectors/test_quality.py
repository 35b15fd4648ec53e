"""How carriers do: what counts, what fades, and that it is the same under any order, any cut and after a restart."""

from __future__ import annotations

import random

import msgspec
import polars as pl
import pytest

from core.schemas import ATTEMPTS
from core.scores import Score, Scores
from detectors.quality import BUCKET_MS, BUCKETS, HALF_LIFE_MS, Qualities, Stored, add, scores

T_MS = 1_790_000_100_000
BLANK = {name: "" if dtype == pl.String else None for name, dtype in ATTEMPTS.items()}


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    """Attempts, each over alpha to Austria, answered after 2 s for 90 s, unless a row says otherwise."""
    base = BLANK | {
        "partition": 0, "offset": 0, "revision": 1, "learned_ms": T_MS, "tenant": "t1", "attempt_no": 1, "carrier": "alpha",
        "b_number": "43664123456", "at_ms": T_MS, "answered": True, "duration_ms": 90_000, "pdd_ms": 2_000,
    }  # fmt: skip
    return pl.DataFrame([base | {"call_key": f"{n:032x}"[::-1]} | row for n, row in enumerate(rows)], schema=ATTEMPTS)


FAILED = {"answered": False, "duration_ms": 0, "pdd_ms": None, "sip_code": 503}


def scored(*frames: pl.DataFrame) -> dict[tuple[str, str], Score]:
    state = Qualities()
    for partition, one in enumerate(frames):
        add(state, partition, one)
    return {(one.carrier, one.destination): one for one in scores(state).scores}


def test_few_attempts_are_drawn_to_the_mean_and_many_speak_for_themselves() -> None:
    few, many = scored(frame(*[{}] * 5)), scored(frame(*[{}] * 3_000))
    assert few["alpha", ""].attempts == 5 and 0.5 < few["alpha", ""].asr < 0.7
    assert many["alpha", ""].asr > 0.99 and many["alpha", "43"].acd_s == pytest.approx(90, abs=1)
    assert ("alpha", "43") not in few, "below ten attempts a destination has no score of its own"


def test_a_carrier_that_answers_is_better_than_one_that_does_not_and_a_busy_line_is_no_fault_of_the_network() -> None:
    rows = [{"carrier": name} | extra for name, extra in (("good", {}), ("bad", FAILED), ("busy", FAILED | {"sip_code": 486})) for _ in range(200)]
    found = scored(frame(*rows))
    assert found["good", "43"].score > found["busy", "43"].score > found["bad", "43"].score
    assert found["busy", "43"].ner > 0.9 > found["bad", "43"].ner
    assert found["busy", "43"].asr == pytest.approx(found["bad", "43"].asr)


def test_calls_answered_for_seconds_make_a_carrier_worse_though_its_asr_is_perfect() -> None:
    rows = [{"carrier": "real"}] * 200 + [{"carrier": "false", "duration_ms": 4_000}] * 200
    found = scored(frame(*rows))
    assert found["false", "43"].short_share > 0.8 and found["false", "43"].score < 0.7 * found["real", "43"].score


def test_old_attempts_count_half_after_half_an_hour_and_nothing_after_six() -> None:
    def asr_after(ms: int) -> float:
        new = [{"at_ms": T_MS + ms, "learned_ms": T_MS + ms}] * 500
        return scored(frame(*[FAILED] * 500), frame(*new))["alpha", "43"].asr

    assert asr_after(0) == pytest.approx(0.5, abs=0.02)
    assert asr_after(HALF_LIFE_MS) == pytest.approx(2 / 3, abs=0.02)
    assert asr_after(BUCKET_MS * (BUCKETS + 1)) > 0.96


def test_destinations_are_apart() -> None:
    found = scored(frame(*[{}] * 100, *[FAILED | {"b_number": "4930123"}] * 100))
    assert found["alpha", "43"].asr > 0.85 and found["alpha", "49"].asr < 0.2


def mixed(n: int) -> list[dict[str, object]]:
    chance = random.Random(5)
    return [
        {
            "carrier": chance.choice(["a", "b", "c"]), "b_number": chance.choice(["43664", "4930", "12125551212"]), "answered": chance.random() < 0.6,
            "at_ms": T_MS + chance.randrange(3 * 3_600_000), "learned_ms": T_MS + 4 * 3_600_000, "duration_ms": chance.randrange(200_000),
            "sip_code": chance.choice([503, 486, None]), "pdd_ms": chance.choice([None, 900, 4_000]),
        }
        for _ in range(n)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_the_same_under_any_order_any_cut_and_after_a_restart(seed: int) -> None:
    whole = frame(*mixed(600))
    first = Qualities()
    add(first, 0, whole)
    chance = random.Random(seed)
    state = Qualities()
    left = whole.sample(fraction=1.0, shuffle=True, seed=seed)
    while left.height:
        size = chance.randrange(1, 120)
        add(state, 0, left[:size])
        if chance.random() < 0.3:
            stored = msgspec.msgpack.encode(state.frozen())
            state = Qualities.of(msgspec.msgpack.decode(stored, type=Stored))
            add(state, 0, left[:size])  # a judge that died writes its last rows again
        left = left[size:]
    assert scores(state) == scores(first)


def test_a_correction_is_no_second_attempt() -> None:
    state = Qualities()
    add(state, 0, frame({}, {}, {"revision": 2}))
    assert scores(state).scores[0].attempts == 2
    assert isinstance(scores(Qualities()), Scores)
