r"""Masks what no log may contain: whole telephone numbers, passwords and tokens. Pure.

    record(event)   by the key where that decides, else by the form of the text
    text(line)      by form, and by the keys in JSON, reprs and key=value inside it

Of a number of seven digits or more the first four or five stay. Times, offsets, ports, sizes, money and ids keep their digits. In doubt a
text is masked: a masked offset costs a query, but a number in a log stays there for ever.

>>> text("caller +436641234567 calls sip:8821312345678@192.0.2.7:5060, offset 1234567890 of calls/3, 1234567.89 EUR")
'caller +43664******* calls sip:88213********@192.0.2.7:5060, offset 1234567890 of calls/3, 1234567.89 EUR'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.text import LEAST, hidden_digits

HIDDEN = "***"
MAX_DEPTH = 8
"""Of nested values."""
MAX_CHARS = 32_768
"""Of a text; of the rest only the length is written."""

NUMBER_KEYS = {
    "a_number", "b_number", "a_raw", "b_raw", "from_raw", "pai", "diversion", "lrn", "sent_number", "number", "numbers", "caller", "called",
    "callee", "calling", "dialled", "from_number", "to_number", "msisdn", "imei", "imsi", "phone", "tel", "telephone", "ani", "dnis",
}  # fmt: skip
"""Keys whose values are personal, however few digits they have."""

RAW_KEYS = {"raw", "record", "body", "payload", "raw_record"}
"""Keys of whole records: only their length is logged."""

_SECRET = r"\w{0,40}(?:password|passwd|secret|token|api_?key|authorization|cookie|credentials?)"
_SECRET_KEY = re.compile(_SECRET, re.IGNORECASE)
_PLAIN = (
    r"(?:\w{1,40}_)?(?:ms|s|ns|us|bytes|nanos|at|boot_id|query_id|offsets?|seqs?|pid|ports?|versions?|partitions?|size|timestamp|count|rows|"
    r"boot|line|inode|amount|total|messages|milliseconds|seconds)"
)
_PLAIN_KEY = re.compile(_PLAIN, re.IGNORECASE)
"""Keys whose digits are not a telephone number."""


def masked(digits: str) -> str:
    """The text with all but its first four or five digits masked.

    >>> masked("8821312"), masked("436641234567"), masked("+1-202-555-0123"), masked("112")
    ('8821***', '43664*******', '+1-202-5**-****', '112')
    """
    return hidden_digits(digits, 5 if sum(c.isdigit() for c in digits) > 9 else 4, 0, "*", least=0)


_EDGE = r"(?:(?<![\w.])|(?<=\D\.)|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-fA-F]{4})|(?<=\\[nrt])|(?<=%[0-9a-fA-F]{2}))"
"""Where a run of digits may begin: not inside a word (an id) nor behind a decimal point. Escapes in reprs, JSON and URLs end a word."""

_RULES = {
    # A number as dialled (core.alert_text): unreadable, so anything may be between its digits.
    "quoted": r"“[^”]{0,512}",
    # A password in an address, up to the last @, since it may contain one.
    "address": r"(?P<_before>[A-Za-z][\w+.-]{0,30}://[^\s/:@]{0,256}:)\S{1,512}(?=@)",
    "scheme": r"(?P<_scheme>\b(?:Bearer|Basic)\s+)[^\s\"',;]+",
    "secret": rf"(?P<_name>\b{_SECRET}[\"']?\s*[=:]\s*(?:Bearer\s+|Basic\s+)?b?[\"']?)[^\s\"',;&}}\])]+",
    # A record of a switch, or a decoder's error about one: it has names and addresses too.
    "wire": r"\{[^{}]*?\\?\"(?:event|a_raw|b_raw|from_raw|dialog_id)\\?\"\s*:[^{}]*\}?",
    "uuid": r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
    "ours": r"\b(?:finding|order)-[0-9a-f]{20}\b",
    "segment": r"\b\d{20}(?=\.[a-z])",  # a file of the journal, named by its first offset
    "moment": rf"{_EDGE}1[5-9]\d{{11}}(?:\d{{3}})?(?![\w.])",  # epoch ms or us; no country has such long numbers under +1
    "uri": r"\b(?:tel:|sips?:(?=[^\s@;>\"'<]{0,256}@))[^\s@;>\"'<]{1,256}",
    "personal": rf"(?<!\w)(?:{'|'.join(sorted(NUMBER_KEYS))})[\"']?\s*[=:]\s*b?[\"']?[^\"',;}}\s]+",
    "plain": rf"(?<!\w){_PLAIN}[\"']?\s*[=:]\s*[\[\"']?-?\d+(?!\w)",
    "worded": r"\b(?:offsets?|partitions?|ports?|pid|seq|position|version|segment|inode|byte)\s+\d+(?:\s*(?:to|and|-|\.\.)\s*\d+)?(?!\w)",
    "measured": r"(?<![\w.])\d+\s?(?:bytes|kB|MB|ms|ns|us|nanos)\b|(?<![\w.])\d{1,9}\s(?:records|rows|lines|messages|entries)\b",
    "money": r"(?<![\w.])\d+\.\d+(?![\w.])",
    "dialled": r"(?<!\d)\+\d(?:[ ().-]{0,2}\d){6,}",
    "run": rf"{_EDGE}\d{{{LEAST},}}(?!\w|\.\d)",
}
_LOOK = re.compile("|".join(f"(?P<{name}>{rule})" for name, rule in _RULES.items()), re.IGNORECASE)
_RUN = re.compile(r"\d(?:[-. ()]?\d){4,}")


def _mask_runs(whole: str) -> str:
    """Mask every run of digits; one that is masked already stays as it is."""

    def replaced(run: re.Match[str]) -> str:
        done = whole[run.end() : run.end() + 1] == "*" and len(run[0]) == 5
        return run[0] if done else masked(run[0])

    return _RUN.sub(replaced, whole)


def text(line: str) -> str:
    """A line without personal and secret data."""
    if len(line) > MAX_CHARS:
        head = line[:MAX_CHARS].rstrip("0123456789")  # no rule would match half a number
        line = f"{head}... and {len(line) - len(head)} characters"
    return _LOOK.sub(_replaced, line)


def _replaced(found: re.Match[str]) -> str:
    kind = found.lastgroup
    whole = found[0]
    for before in ("_before", "_scheme", "_name"):
        if found[before] is not None:
            return found[before] + HIDDEN
    if kind == "wire":
        return f"{{{len(whole)} characters of a record}}"
    if kind in ("uri", "personal"):
        return _mask_runs(whole)
    if kind == "quoted":
        return masked(whole) if sum(c.isdigit() for c in whole) >= LEAST else whole
    if kind in ("dialled", "run"):
        return masked(whole)
    return whole


def record(event: Mapping[str, Any]) -> dict[str, Any]:
    """A log event, masked by its keys and values.

    >>> record({"event": "rejected", "raw": b"{...}", "a_number": "43664123", "offset": 1234567890, "token": "abc", "why": "of 436641234567"})
    {'event': 'rejected', 'raw': '5 bytes', 'a_number': '4366****', 'offset': 1234567890, 'token': '***', 'why': 'of 43664*******'}
    """
    return {key: _value(key, value, MAX_DEPTH) for key, value in event.items()}


def _value(key: str, value: Any, depth: int) -> Any:
    name = key.lower()
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_KEY.fullmatch(name):
        return HIDDEN
    if name in RAW_KEYS or isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes" if hasattr(value, "__len__") else HIDDEN
    if isinstance(value, Mapping):
        return {str(k): _value(str(k), v, depth - 1) for k, v in value.items()} if depth else "..."
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(key, one, depth - 1) for one in value] if depth else "..."
    if name in NUMBER_KEYS:
        return _mask_runs(str(value))
    if isinstance(value, int | float):
        return value if abs(value) < 2**63 else str(value)  # NaN and infinity become text: JSON has neither
    if _PLAIN_KEY.fullmatch(name) and str(value).isdigit():
        return value
    return text(str(value))
