"""Which detectors there are, and what a policy may say of them."""

from __future__ import annotations

import pytest

from core.policy import Policy
from detectors.protocol import Detector, Spanning
from detectors.registry import detectors, faults, features, parameters_of, spanning, summed


def test_each_module_with_a_detector_is_found_once_in_the_order_of_names():
    assert [one.name for one in detectors()] == [
        "burst", "caps", "first_call", "flash_calls", "irsf_block", "irsf_day", "irsf_range", "irsf_short", "irsf_spread", "learned", "looping",
        "probing", "refiling", "robocalls", "spoofing", "subscription", "takeover", "unpriced_caps", "wangiri",
    ]  # fmt: skip
    assert [one.name for one in spanning()] == ["callbacks", "fas", "novelty", "overall_caps", "pumping", "sim_box"]
    assert [one.name for one in features()] == ["profile", "shares"]
    assert all(isinstance(one, Detector) for one in detectors()) and all(isinstance(one, Spanning) for one in spanning())
    assert set(summed()) == {"carrier", "trunk_group", "trunk", "range", "rung", "abroad", "route", "sim", "long", "novel"}


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"burst": {"half_life_s": 0}}, "policy.detectors.burst.half_life_s: must be a number > 0, is 0"),
        ({"burst": {"half_life_s": True}}, "policy.detectors.burst.half_life_s: must be a number, got `bool`, is True"),
        ({"burst": {"half_life_s": "1h"}}, "policy.detectors.burst.half_life_s: must be a number, got `str`, is '1h'"),
        ({"burst": {"account_floor": -1.0}}, "policy.detectors.burst.account_floor: must be a number >= 0, is -1.0"),
        ({"burst": {"account_floor": float("inf")}}, "policy.detectors.burst.account_floor: must be a finite number, is inf"),
        ({"burst": {"account_flor": 1}}, "policy.detectors.burst.account_flor: there is no such parameter; account_floor?"),
        ({"caps": {"xyzzy": 1}}, "policy.detectors.caps.xyzzy: there is no such parameter; there are none"),
        ({"bursts": {}}, "policy.detectors.bursts: there is no such detector; burst?"),
        ({"xyzzy": {}}, f"policy.detectors.xyzzy: there is no such detector; there are {', '.join(one.name for one in detectors())}"),
    ],
)
def test_a_fault_in_a_policy_has_its_path_and_what_would_be_right(parameters, fault):
    assert faults(Policy(detectors=parameters)) == [fault]


def test_all_faults_are_listed_and_a_policy_without_any_has_none():
    several = {"burst": {"half_life_s": 0, "a_number_flor": 1, "account_floor": 5}, "xyzzy": {}}
    assert len(faults(Policy(detectors=several))) == 3
    assert faults(Policy(detectors={"burst": {"account_floor": 0, "a_number_floor": 0.5, "half_life_s": 0.5}})) == [] == faults(Policy())


def test_parameters_are_those_of_the_policy_and_else_the_defaults():
    burst = detectors()[0]
    assert parameters_of(burst, Policy()) == burst.parameters()
    changed = parameters_of(burst, Policy(detectors={"burst": {"account_floor": 5}}))
    assert (changed.account_floor, changed.half_life_s) == (5.0, burst.parameters().half_life_s)
    with pytest.raises(ValueError, match=r"^policy\.detectors\.burst\.half_life_s: must be a number > 0, is 0; policy\.detectors\.xyzzy: there"):
        parameters_of(burst, Policy(detectors={"burst": {"half_life_s": 0}, "xyzzy": {}}))
