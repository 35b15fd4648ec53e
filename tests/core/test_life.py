"""The table of a call's life has a row for every state and event, and a function for each effect."""

from __future__ import annotations

from core import life
from core.calls import EFFECTS
from core.record import EVENTS


def test_every_event_of_either_leg_has_an_effect_in_every_state():
    wanted = {(state, prefix + event) for state in life.STATES for event in EVENTS for prefix in ("", life.EGRESS)}
    assert life.LIFE.keys() == wanted


def test_every_effect_is_one_that_assembly_knows():
    assert set(life.LIFE.values()) - {life.REVIVE, life.LATE, life.REPEAT} == EFFECTS.keys()


def test_nothing_after_the_end_of_a_call_sells_it_again():
    assert {effect for (state, _), effect in life.LIFE.items() if state == life.ENDED} <= {
        life.LATE, life.REPEAT, life.LEG, life.LEG_ANSWER, life.LEG_CORRECTION,
    }  # fmt: skip
