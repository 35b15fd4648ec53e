"""A day of traffic: the same seed is the same day, its faults have their shares, and no record contains the truth."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import msgspec
import pytest

from core.numbers import normalise
from core.record import Record
from simulator.day import START_MS, Delivery, Outage, attacked, day
from simulator.truth import Truth
from simulator.world import make_world


def all_of(seed: int, **how: object) -> tuple[list[Delivery], Truth]:
    records, truth = day(seed, **how)  # type: ignore[arg-type]
    return list(records), truth


def lines(deliveries: list[Delivery]) -> bytes:
    return b"\n".join(msgspec.json.encode(one.record) for one in deliveries)


@pytest.fixture(scope="module")
def attack_day() -> tuple[list[Delivery], Truth]:
    return all_of(7)


def by_call(deliveries: list[Delivery]) -> dict[tuple[str, ...], list[Record]]:
    """The distinct records of each call, by its identity."""
    found: dict[tuple[str, ...], dict[tuple[str, int | None], Record]] = defaultdict(dict)
    for one in deliveries:
        r = one.record
        if r.event != "boot":
            found[r.switch, r.setup_boot_id or r.boot_id, r.dialog_id, r.call_id, r.from_tag][r.boot_id, r.seq] = r
    return {call: list(records.values()) for call, records in found.items()}


def test_the_same_seed_is_the_same_day_and_another_is_not() -> None:
    first, truth = all_of(5, hours=0.5)
    again, truth_again = all_of(5, hours=0.5)
    other, _ = all_of(6, hours=0.5)
    assert lines(first) == lines(again)
    assert truth.json() == truth_again.json()
    assert lines(first) != lines(other)


def test_the_same_seed_is_the_same_day_in_every_process() -> None:
    script = (
        "import sys, msgspec; from simulator.day import day\n"
        "for one in day(5, hours=0.1)[0]: sys.stdout.buffer.write(msgspec.json.encode(one.record) + b'\\n')"
    )
    root = Path(__file__).parents[2]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, cwd=root, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_half_of_the_seeds_have_an_attack() -> None:
    assert [attacked(seed) for seed in range(4)] == [False, True, False, True]
    for seed in (2, 3):
        records, truth = day(seed, hours=0.01)
        assert (truth.attack is not None) == attacked(seed)
        records.close()  # type: ignore[attr-defined]


def test_an_attack_changes_no_legitimate_call() -> None:
    with_it, truth = all_of(8, hours=0.5, attack=True, outages=())
    without, _ = all_of(8, hours=0.5, attack=False, outages=())
    assert truth.attack is not None
    guilty = set(truth.attack.call_ids)
    legitimate = {one.record.call_id for one in with_it} - guilty
    assert legitimate == {one.record.call_id for one in without}


def test_an_answered_call_stops_after_its_answer_and_lasts_from_there(attack_day: tuple[list[Delivery], Truth]) -> None:
    ended = 0
    for records in by_call(attack_day[0]).values():
        by_event = {one.event: one for one in sorted(records, key=lambda one: -one.at_ms)}  # the first of each
        answer, stop = by_event.get("answer"), by_event.get("stop")
        if answer is None or stop is None:
            continue
        assert answer.answer_ms is not None
        assert stop.end_ms is not None
        assert answer.setup_ms is not None
        assert answer.setup_ms < answer.answer_ms == stop.answer_ms < stop.end_ms
        assert stop.duration_ms == stop.end_ms - answer.answer_ms
        ended += 1
    assert ended > 2000


def test_slices_of_a_long_call_count_from_0_and_add_up(attack_day: tuple[list[Delivery], Truth]) -> None:
    cut = [[one for one in records if one.event == "partial"] for records in by_call(attack_day[0]).values()]
    cut = [parts for parts in cut if parts]
    assert cut
    for parts in cut:
        parts.sort(key=lambda one: one.part_no)
        assert [one.part_no for one in parts] == list(range(len(parts)))
        if parts[-1].last:
            assert parts[0].answer_ms is not None
            assert sum(one.duration_ms or 0 for one in parts) == (parts[-1].end_ms or 0) - parts[0].answer_ms


def test_faults_have_their_shares(attack_day: tuple[list[Delivery], Truth]) -> None:
    deliveries, truth = attack_day
    mess, calls = truth.mess, truth.calls
    assert calls == mess["calls"] > 3000
    assert 0.10 < mess["failover"] / calls < 0.22
    assert 1.1 < (mess["attempt"] + mess["answer"]) / calls < 1.35
    assert 0.45 < mess["answered calls"] / calls < 0.8
    assert mess["early media without answer"] / calls > 0.01
    for rare in (
        "never stopped",
        "stop lost, found hung",
        "second stop",
        "reused Call-ID",
        "delivered twice",
        "lines out of order",
    ):
        assert 0 < mess[rare] < 0.15 * calls, rare
    raw = [one.record for one in deliveries if one.record.event == "setup"]
    kinds = Counter(
        "anonymous" if r.a_raw == "anonymous" else "+" if r.a_raw[0] == "+" else "0" if r.a_raw[0] == "0" else "x" for r in raw
    )
    assert min(kinds.values()) > 0.005 * len(raw)
    assert any(one.record.b_raw.startswith(("7001#", "99#")) for seed in (0, 1, 2) for one in all_of(seed, hours=0.2)[0])


def test_a_dialled_number_is_that_of_the_call_under_its_dial_plan() -> None:
    world = make_world(4)
    plans = {plan.name: plan for plan in world.config.dial_plans}
    plan_of = {trunk.name: plans[trunk.dial_plan] for trunk in world.config.trunks}
    meant: dict[str, str] = {}
    records, _ = day(4, hours=0.5, world=world, on_call=lambda call: meant.update({call.facts["dialog_id"]: call.b_number}))
    setups = [one.record for one in records if one.record.event == "setup"]
    assert len(setups) > 500
    for one in setups:
        number = normalise(one.b_raw, plan_of[one.ingress_trunk])
        assert number.digits == meant[one.dialog_id], one.b_raw
        assert number.kind in ("e164", "national") or (number.kind in ("emergency", "short") and len(one.b_raw) == 3)


def test_numbers_of_a_boot_have_no_gap_and_time_never_goes_back(attack_day: tuple[list[Delivery], Truth]) -> None:
    deliveries, _ = attack_day
    seen: dict[tuple[str, str], set[int]] = defaultdict(set)
    learned = complete = 0
    by_switch: dict[str, int] = defaultdict(int)
    for one in deliveries:
        assert one.learned_ms >= learned
        learned = one.learned_ms
        complete = by_switch[one.record.switch]
        assert one.complete_to_ms >= complete
        by_switch[one.record.switch] = one.complete_to_ms
        assert one.record.seq is not None
        seen[one.record.switch, one.record.boot_id].add(one.record.seq)
    for numbers in seen.values():
        assert numbers == set(range(1, len(numbers) + 1))


def test_no_new_record_is_older_than_complete_to(attack_day: tuple[list[Delivery], Truth]) -> None:
    promised: dict[str, int] = {}
    seen: set[tuple[str, str, int | None]] = set()
    for one in attack_day[0]:
        name = (one.record.switch, one.record.boot_id, one.record.seq)
        if name not in seen:  # a repeat is old by its nature
            assert one.record.at_ms > promised.get(one.record.switch, 0)
        seen.add(name)
        promised[one.record.switch] = one.complete_to_ms


def test_an_outage_makes_records_late_and_loses_none() -> None:
    outage = Outage("sim1", START_MS + 600_000, START_MS + 1_200_000)
    late, _ = all_of(2, hours=0.5, outages=[outage])
    prompt, _ = all_of(2, hours=0.5, outages=[])
    assert Counter(lines(late).split(b"\n")) == Counter(lines(prompt).split(b"\n"))
    assert not [one for one in late if one.record.switch == "sim1" and outage.start_ms <= one.learned_ms < outage.end_ms]
    assert max(one.learned_ms - one.record.at_ms for one in late) > 500_000


def test_the_clocks_of_the_switches_are_skewed(attack_day: tuple[list[Delivery], Truth]) -> None:
    boots = [one.record for one in attack_day[0] if one.record.event == "boot"][:2]
    assert {one.switch for one in boots} == {"sim1", "sim2"}
    assert len({one.at_ms for one in boots}) == 2


def test_no_record_contains_the_truth(attack_day: tuple[list[Delivery], Truth]) -> None:
    deliveries, truth = attack_day
    assert truth.attack is not None
    text = lines(deliveries).lower()
    for word in (b"attack", b"irsf", b"fraud", b"legit", b"look-alike", b"newcomer", b"victim", b"label", b"truth"):
        assert word not in text
    guilty = set(truth.attack.call_ids)
    fields: dict[bool, set[str]] = {True: set(), False: set()}
    lengths: dict[bool, set[int]] = {True: set(), False: set()}
    for one in deliveries:
        if one.record.call_id:
            fields[one.record.call_id in guilty] |= set(msgspec.json.decode(msgspec.json.encode(one.record)))
            lengths[one.record.call_id in guilty].add(len(one.record.call_id.partition("@")[0]))
    assert fields[True] <= fields[False]
    assert lengths[True] == lengths[False]


@pytest.mark.parametrize("seed", range(1, 40, 2))
def test_an_attack_calls_expensive_ranges_inside_the_day(seed: int) -> None:
    records, truth = day(seed, hours=3, calls_per_s=0.02)
    list(records)
    attack = truth.attack
    assert attack is not None
    assert truth.start_ms < attack.start_ms < attack.end_ms <= truth.end_ms
    assert attack.account != truth.look_alike.account
    assert 1 <= len(attack.ranges) <= 4
    assert len(attack.call_ids) >= 3
    assert attack.exposure > 20
    assert attack.cost < attack.exposure


def test_attacks_differ_in_every_way() -> None:
    attacks = []
    for seed in range(1, 60, 2):
        records, truth = day(seed, hours=3, calls_per_s=0.005)
        records.close()  # type: ignore[attr-defined]
        assert truth.attack is not None
        attacks.append(truth.attack)
    assert len({one.account for one in attacks}) > 8
    assert min(one.lines for one in attacks) < 6
    assert max(one.lines for one in attacks) > 30
    assert min(one.median_talk_s for one in attacks) < 150
    assert max(one.median_talk_s for one in attacks) > 700
    assert {len(one.a_numbers) == 1 for one in attacks} == {True, False}


def test_the_look_alike_ramps_up() -> None:
    deliveries, truth = all_of(10)
    account = truth.look_alike.account
    setups = [one.record.at_ms for one in deliveries if one.record.account == account and one.record.event == "setup"]
    assert len(setups) > 200
    assert min(setups) > truth.look_alike.start_ms - 10_000 > START_MS
    span = truth.end_ms - truth.look_alike.start_ms
    first = sum(at < truth.look_alike.start_ms + span / 4 for at in setups)
    assert first < 0.2 * len(setups)
    expensive = {one.record.b_raw for one in deliveries if one.record.account == account} & {
        one.record.b_raw for one in deliveries if one.record.b_raw.lstrip("+0").startswith(EXPENSIVE_CODES)
    }
    assert expensive


EXPENSIVE_CODES = ("53", "960", "252", "220", "224", "235", "269", "261", "675", "685", "679", "291", "228", "232")


def test_a_day_has_the_size_of_a_test() -> None:
    assert all(10_000 < sum(1 for _ in day(seed)[0]) < 35_000 for seed in range(4))
