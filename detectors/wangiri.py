"""Wangiri: expensive foreign numbers ring subscribers once, so that they call back.

Very many calls from one block of foreign numbers, each to another subscriber, given up within seconds. The money is lost with the calls
back: `callbacks` finds them over all accounts and orders blocks for the accounts that call the range.

Source: GSMA FS.21; Europol and EURO police notices on "one ring" fraud; M. Sahin et al., "SoK: Fraud in Telephony Networks", EuroS&P 2017.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"wangiri": {"least_calls": 100.0}})).least_calls
100.0
"""

from __future__ import annotations

from functools import partial

from detectors import one_ring
from detectors.scored import scored

DETECTOR = scored(
    name="wangiri",
    about="Wangiri: very many calls from one block of foreign numbers that are given up at once, so that people call back",
    fraud="wangiri",
    kind=one_ring.KIND,
    parts=one_ring.parts,
    candidates=partial(one_ring.ringing, abroad=True),
    no_block="callers",
    parameters=one_ring.Parameters,
    fields=one_ring.FIELDS,
)
