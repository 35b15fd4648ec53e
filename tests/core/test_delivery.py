"""Which deliveries are new: the last sequence numbers of each boot, held against a plain dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core import delivery
from core.delivery import AHEAD, BOOTS, FOLLOWERS, RING, Deliveries, deliver

BOOT = "k1\x1fb1"


def outcomes(*numbers: tuple[int, int] | int, known: Deliveries | None = None) -> list[str]:
    known = known or Deliveries()
    return [deliver(known, BOOT, *(number if isinstance(number, tuple) else (number, 7))) for number in numbers]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), max_size=60))
def test_near_each_other_they_are_a_dictionary(numbers):
    model: dict[int, int] = {}
    for (seq, content), outcome in zip(numbers, outcomes(*numbers), strict=True):
        assert outcome == ("" if seq not in model else "duplicate" if model[seq] == content else "conflict")
        model.setdefault(seq, content)


def test_the_memory_of_a_boot_ends_a_ring_behind_its_highest_number():
    assert outcomes(RING, 1, 0, RING, 2 * RING, RING + 1, RING) == ["", "", "old", "duplicate", "", "", "old"]
    assert outcomes(1, RING + 1, RING + 1, 1) == ["", "", "duplicate", "old"], "a ring ahead is not far ahead yet"


def test_a_number_far_ahead_moves_nothing_until_others_follow_it():
    far = 10 * RING
    assert outcomes(1, 2 + RING, (2 + RING, 8), 2, 2 + RING) == ["", "leap", "conflict", "", "duplicate"]
    known = Deliveries()
    assert outcomes(1, *range(far, far + FOLLOWERS - 1), 2, known=known)[-1] == ""
    assert known.rings[BOOT].top == 2 and len(known.rings[BOOT].ahead) == FOLLOWERS - 1
    assert outcomes(far + 100, known=known) == ["leap"] and known.rings[BOOT].top == far + 100 and not known.rings[BOOT].ahead
    assert outcomes(3, far, (far + 1, 8), far + 200, known=known) == ["old", "duplicate", "conflict", ""]


def test_numbers_far_from_each_other_do_not_follow_each_other():
    far = 10 * RING
    near, apart = RING // 2 - 1, RING // 2
    for distance, follows in ((near, True), (apart, False)):
        known = Deliveries()
        outcomes(1, *range(far, far + FOLLOWERS - 1), known=known)
        assert outcomes(far + distance, known=known) == ["leap"]
        assert (known.rings[BOOT].top > 1) is follows, distance


def test_a_boot_that_comes_to_a_number_it_was_ahead_with_has_delivered_it():
    known = Deliveries()
    far = 2 * RING
    assert outcomes(1, (far, 9), known=known) == ["", "leap"]
    assert outcomes(RING, far - 1, known=known) == ["", ""]
    assert outcomes((far, 9), (far, 9), (far, 8), known=known) == ["duplicate", "duplicate", "conflict"]
    known = Deliveries()
    assert outcomes(1, (far, 9), RING, far - 1, (far, 8), known=known)[-1] == "conflict"
    assert known.rings[BOOT].top == far and not known.rings[BOOT].ahead


def test_the_number_of_numbers_far_ahead_is_limited():
    found = outcomes(1, *((n + 1) * 10 * RING for n in range(AHEAD + 1)))
    assert found == ["", *["leap"] * AHEAD, "crowd"]


def test_the_longest_silent_boot_of_a_switch_makes_room():
    known = Deliveries()
    boots = [f"k1\x1fb{n}" for n in range(BOOTS)]
    for boot in boots:
        deliver(known, boot, 5, 7)
    deliver(known, "k2\x1fb", 5, 7)
    deliver(known, boots[0], 6, 7)
    deliver(known, "k1\x1fnew", 1, 7)
    assert boots[1] not in known.rings and boots[0] in known.rings and "k2\x1fb" in known.rings and len(known.rings) == BOOTS + 1
    assert known.forgotten == {boots[1]: 5}
    assert [deliver(known, boots[1], seq, 7) for seq in (5, 4, 6)] == ["old", "old", ""]
    for n in range(BOOTS):
        deliver(known, f"k1\x1fc{n}", 1, 7)
    assert known.forgotten[boots[1]] == 6, "it was forgotten again, with its new highest number"


def test_a_forgotten_boot_that_sends_only_old_numbers_stays_forgotten_up_to_its_highest():
    known = Deliveries(forgotten={BOOT: 9})
    assert outcomes(3, 9, known=known) == ["old", "old"] and known.rings[BOOT].top == -1
    for n in range(BOOTS):
        deliver(known, f"k1\x1fc{n}", 1, 7)
    assert BOOT not in known.rings and known.forgotten[BOOT] == 9


def test_the_number_of_forgotten_boots_is_limited(monkeypatch):
    monkeypatch.setattr(delivery, "FORGOTTEN", 2)
    known = Deliveries()
    for n in range(BOOTS + 3):
        deliver(known, f"k1\x1fb{n}", 1, 7)
    assert list(known.forgotten) == ["k1\x1fb1", "k1\x1fb2"] and len(known.rings) == BOOTS


def test_a_switch_whose_name_begins_alike_keeps_its_boots():
    known = Deliveries()
    for n in range(BOOTS):
        deliver(known, f"k1\x1fb{n}", 1, 7)
    deliver(known, "k11\x1fb", 1, 7)
    deliver(known, "k1", 1, 7)
    assert len(known.rings) == BOOTS + 2


def test_documented_limits():
    assert (RING, BOOTS, delivery.FORGOTTEN, FOLLOWERS, AHEAD) == (32_768, 16, 4096, 8, 64)
