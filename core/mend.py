"""Repair of records: an invalid field that is not money is cut or left out, and noted, so that it never makes its record a reject.

Money, identity and time stay strict: `v event switch tenant boot_id seq at_ms answer_ms end_ms duration_ms call_id dialog_id from_tag
account ingress_trunk carrier b_raw sell_amount buy_amount currency buy_currency` and the numbers of attempts, interims and parts. A wrong
value in one of them is a reject, and so is an object or a list where a text belongs, in any field.
"""

from __future__ import annotations

from typing import Any

NAME_MOST, TEXT_MOST = 128, 2048

TEXTS = {
    "a_raw": TEXT_MOST, "user_agent": TEXT_MOST, "from_raw": TEXT_MOST, "pai": TEXT_MOST, "diversion": TEXT_MOST, "sent_number": TEXT_MOST,
    "release_cause_text": TEXT_MOST, "src_ip": NAME_MOST, "attestation": NAME_MOST, "lrn": NAME_MOST, "order_id": NAME_MOST,
    "imei": NAME_MOST, "imsi": NAME_MOST, "cell": NAME_MOST,
}  # fmt: skip
"""Texts that may be cut, and the length to which they are cut."""

CODES = {"sip_code": 999, "q850": 999}
TIMES = ("setup_ms", "ringing_ms", "pdd_ms")
CHOICES = {"release_side": ("", "caller", "callee", "switch"), "auth": ("", "source", "digest")}
LATEST_MS = 2**53


def mended(loose: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The record without the values that its schema does not accept in fields that are not money, and a note of each change.

    >>> mended({"v": 2, "q850": 1000, "user_agent": "x" * 3000, "release_side": "both"})[1]
    ['user_agent was cut from 3000 to 2048 characters', 'q850 1000 was left out', "release_side 'both' was left out"]
    >>> mended({"q850": 16, "call_id": {"a": []}})
    ({'q850': 16, 'call_id': {'a': []}}, [])
    """
    record, notes = dict(loose), []

    def leave_out(name: str) -> None:
        notes.append(f"{name} {_shown(record.pop(name))} was left out")

    for name, most in TEXTS.items():
        value = record.get(name)
        if isinstance(value, str) and len(value) > most:
            record[name] = value[:most]
            notes.append(f"{name} was cut from {len(value)} to {most} characters")
        elif name in record and (value is None or isinstance(value, int | float)):
            leave_out(name)
    for name, highest in CODES.items():
        if name in record and record[name] is not None and not _whole(record[name], 0, highest):
            leave_out(name)
    for name in TIMES:
        if name in record and record[name] is not None and not _whole(record[name], -LATEST_MS, LATEST_MS):
            leave_out(name)
    for name, choices in CHOICES.items():
        if name in record and record[name] not in choices:
            leave_out(name)
    if not isinstance(record.get("suspected_hung", False), bool):
        leave_out("suspected_hung")
    return record, notes


def _whole(value: object, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "..."
