"""Every detector has a name for people."""

from __future__ import annotations

from core.detector_names import DETECTORS
from detectors import caps, route_tests, unpriced_caps
from detectors.registry import detectors, spanning


def test_every_detector_has_a_name_for_people():
    of_caps = {f"cap_{name}" for name in (*caps.CAP_NAMES, *unpriced_caps.CAP_NAMES, "first_seen")}
    known = {one.name for one in (*detectors(), *spanning())} | of_caps | set(route_tests.DETECTORS.values()) | {"credit"}
    assert known <= set(DETECTORS)
