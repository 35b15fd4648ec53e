"""The names of detectors for people. In configs, tables and commands a detector has its short name."""

from __future__ import annotations

DETECTORS = {
    "burst": "burst of money", "callbacks": "Wangiri: calls back", "caps": "caps", "cap_calls_hour": "cap: calls per hour",
    "cap_calls_per_second": "cap: calls per second", "cap_concurrent_calls": "cap: concurrent calls", "cap_first_seen": "first call to a country",
    "cap_minutes_hour": "cap: minutes per hour", "cap_money_day": "cap: money per day", "cap_money_hour": "cap: money per hour",
    "credit": "credit limit", "fas": "false answer (FAS)", "first_call": "first call to a country", "flash_calls": "flash calls",
    "irsf_block": "IRSF: many ranges at once", "irsf_day": "IRSF: a day of dear ranges", "irsf_range": "IRSF: one range",
    "irsf_short": "IRSF: answered calls of seconds", "irsf_spread": "IRSF: a day, few calls per range", "learned": "trained model",
    "looping": "call looping", "novelty": "unlike other accounts", "overall_caps": "caps over all accounts", "probing": "test calls before a fraud",
    "pumping": "traffic pumping", "refiling": "refiling", "robocalls": "robocalls", "sim_box": "SIM box", "spoofing": "false callers",
    "subscription": "subscription fraud", "takeover": "account takeover", "test_answer": "test call: false answer",
    "test_cli": "test call: caller's number", "test_late": "test call: late answer", "test_ringback": "test call: false ringback",
    "unpriced_caps": "caps on unpriced calls", "wangiri": "Wangiri",
}  # fmt: skip


def detector_text(name: str) -> str:
    """The name of a detector for people.

    >>> detector_text("irsf_range"), detector_text("of_a_later_release")
    ('IRSF: one range', 'of a later release')
    """
    return DETECTORS.get(name, name.replace("_", " "))
