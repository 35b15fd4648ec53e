"""Faults of a policy, each with its field."""

from __future__ import annotations

import math

import pytest

from core.policy import Policy, faults
from core.safety import MAX_TTL_MS


def test_the_default_policy_has_no_fault():
    assert faults(Policy()) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"episode_ms": 0}, "policy.episode_ms: must be > 0, is 0"),
        ({"reissue_ms": -1}, "policy.reissue_ms: must be > 0, is -1"),
        ({"order_ttl_ms": 0}, "policy.order_ttl_ms: must be > 0, is 0"),
        ({"order_ttl_ms": MAX_TTL_MS + 1}, "policy.order_ttl_ms: must be at most 7 days: no order lives longer, so each of them would be refused"),
        ({"order_score": -0.5}, "policy.order_score: must be a number >= 0, is -0.5"),
        ({"order_score": math.nan}, "policy.order_score: must be a number >= 0, is nan"),
        ({"order_score": math.inf}, "policy.order_score: must be a number >= 0, is inf"),
        ({"unpriced_blocks": "sometimes"}, "policy.unpriced_blocks: 'sometimes' is none of ask, automatic, never"),
        ({"units": {"EUR": 1.0, "IDR": 0}}, "policy.units.IDR: must be > 0, is 0"),
        ({"units": {"IDR": math.nan}}, "policy.units.IDR: must be > 0, is nan"),
        ({"units": {"IDR": math.inf}}, "policy.units.IDR: must be > 0, is inf"),
    ],
)
def test_a_fault_names_its_field(changes, fault):
    assert faults(Policy(**changes)) == [fault]


@pytest.mark.parametrize("changes", [{"order_ttl_ms": MAX_TTL_MS}, {"order_score": 0.0}, {"episode_ms": 1}, {"units": {"IDR": 1e-9}}])
def test_the_bounds_themselves_are_allowed(changes):
    assert faults(Policy(**changes)) == []


def test_documented_defaults():
    policy = Policy()
    assert (policy.episode_ms, policy.order_ttl_ms, policy.reissue_ms, policy.order_score) == (3_600_000, 3_600_000, 60_000, 1.0)
    assert policy.unpriced_blocks == "ask" and MAX_TTL_MS == 7 * 86_400_000
