"""Flash calls: an application proves a telephone number by a call that it gives up at once, instead of a text message that costs money.

Very many calls from one block of numbers, each to another number, given up within seconds, within one country or from nowhere in particular.

Source: MEF and Mobilesquared, "Flash calling" reports (2021 to 2023): zero duration, single ring, number blocks in rotation. Nothing can be
charged, so nothing is blocked: it warns, and operators agree on a price or refuse the block of numbers.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"flash_calls": {"least_calls": 100.0}})).least_calls
100.0
"""

from __future__ import annotations

from functools import partial

from detectors import one_ring
from detectors.scored import scored

DETECTOR = scored(
    name="flash_calls",
    about="flash calls: very many calls from one block of numbers that are given up before anybody could answer",
    fraud="flash_calls",
    kind=one_ring.KIND,
    parts=one_ring.parts,
    candidates=partial(one_ring.ringing, abroad=False),
    no_block="callers",
    parameters=one_ring.Parameters,
    fields=one_ring.FIELDS,
)
