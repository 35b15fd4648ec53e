"""What verdicts say of the weights, in judge: a block may be withheld, never made."""

from __future__ import annotations

import pytest

from core.policy import Policy, faults
from core.safety import Protected
from detectors.corrector import CODE, LEAST
from detectors.engine import detect
from detectors.protocol import Limits, Settings
from detectors.state import DetectorState

T_MS = 1_800_000_000_000
CALL = {
    "tenant": "t1", "account": "acme", "a_number": "4366", "a_kind": "e164", "b_kind": "e164", "learned_ms": T_MS, "started_ms": T_MS, "calls": 1,
    "answered": True, "active": 1, "currency": "EUR", "nanos": 4 * 10**9,
}  # fmt: skip


def found(usage_of, *, calls: int = 20, **policy):
    rows = [
        CALL | {"offset": no, "call_id": f"c{no}", "call_key": f"k{no}", "t_ms": T_MS + 9_000 * no, "b_number": f"88213001{37 * no:03}"}
        for no in range(calls)
    ]  # fmt: skip
    settings = Settings(lambda _: Policy(**policy), lambda _: Protected(), lambda *_: "EUR", Limits())
    made = detect(DetectorState(b"s"), usage_of(*rows), [], settings)
    weighed = [one for one in made.findings if one.facts and one.facts.evidence]
    return weighed, [one for one in made.orders if one.finding_id in {one.finding_id for one in weighed}]


LESS = {"corrector": "on", "corrections": {"bias": -5.0}, "corrected_by": LEAST}


@pytest.mark.parametrize(
    ("policy", "blocks", "points"),
    [
        ({}, 4, None),
        (LESS, 2, -5.0),
        (LESS | {"corrector": "off"}, 4, None),
        (LESS | {"corrected_by": LEAST - 1}, 4, None),  # too few verdicts
        (LESS | {"corrections": {"bias": -500.0}}, 2, -6.0),  # bounded
        (LESS | {"corrections": {"bias": 5.0}}, 4, 5.0),
    ],
)
def test_a_correction_withholds_blocks_and_is_shown(usage_of, policy, blocks, points):
    findings, orders = found(usage_of, **policy)
    assert len(orders) == blocks, "two are hardly certain enough; a number of calls to premium numbers at once is, whatever people said"
    shown = [one.points for finding in findings for one in finding.facts.evidence if one.code == CODE]
    assert shown == ([points] * len(findings) if points else [])
    assert len(findings) == len(found(usage_of)[0]), "an alert is never suppressed, nor written more often"


def test_a_correction_never_makes_a_block(usage_of):
    surer = {"block_probability": 0.9999999}  # which no detector reaches
    more = {"corrector": "on", "corrections": {"bias": 6.0}, "corrected_by": LEAST}
    assert found(usage_of, **surer)[1] == found(usage_of, **surer, **more)[1] == []


def test_a_policy_with_a_correction_that_is_no_number():
    assert faults(Policy(corrections={"bias": float("inf")})) == ["policy.corrections.bias: must be a finite number, is inf"]
