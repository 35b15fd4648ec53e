"""Which carriers stand behind the others, by what the detectors have found about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from books import alerts, writing
from core.orders import Finding
from detectors.fas import DETECTOR as FAS
from ringfence.settings import Settings
from services import first_start
from services.installation import Installation, opened_books
from services.routes import CARRIER_KINDS, SUSPECT_MS, suspects

NOW = 1_772_000_000_000


@pytest.fixture
def house(tmp_path: Path) -> Installation:
    installation = Settings(home=tmp_path, tenant="t1", countries="AT").installation
    first_start.lay(installation)
    first_start.open_and_publish(installation, first_start.starter("t1"), 1)
    return installation


def finding(detector: str, kind: str, subject: str, last_ms: int = NOW) -> Finding:
    return Finding(
        finding_id=f"{detector}/{subject}", tenant="t1", detector=detector, subject_kind=kind, subject=subject, detected_at_ms=last_ms,
        first_ms=last_ms, last_ms=last_ms, calls=400, exposure_nanos=0, currency="EUR", score=2.0, reason=f"{subject} answers early",
        example_call_ids=[],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("detector", "kind", "subject", "last_ms", "suspected"),
    [
        ("fas", "route", "alpha>43", NOW, {"alpha": "alpha>43 answers early"}),
        ("fas", "route", "alpha>43", NOW - SUSPECT_MS - 1, {}),
        ("anything", "carrier", "alpha", NOW, {"alpha": "alpha answers early"}),
        ("cap_money_hour", "carrier", "alpha", NOW, {}),  # a limit that a person has set is no suspicion
        ("burst", "account", "acme", NOW, {}),
    ],
)
def test_a_carrier_that_a_detector_suspects(house, detector, kind, subject, last_ms, suspected):
    with opened_books(house) as engine:
        with writing(engine) as conn:
            alerts.upsert(conn, finding(detector, kind, subject, last_ms), NOW)
        assert suspects(engine, "t1", NOW) == suspected


def test_what_the_detector_of_false_answers_reports_is_understood():
    assert set(FAS.sums) <= set(CARRIER_KINDS)
