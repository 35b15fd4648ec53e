"""Calls one by one: a search, and one call with everything that is stored of it and why it costs what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rating.contracts import Terms
from services import quotes
from services.errors import BadArgument
from services.subjects import Ask
from warehouse import one_call

Row = dict[str, Any]


@dataclass(frozen=True)
class Explained:
    """A charge that counts, and its derivation by the config version that priced it. `why_not`: why there is no derivation.

    `same`: the derivation gives the amount of the charge; False is a finding, unless the call was split or re-rated.
    """

    charge: Row
    rows: tuple[tuple[str, str], ...]
    same: bool
    why_not: str = ""


@dataclass(frozen=True)
class OneCall:
    """`facts`: the newest revision, or the record of a call that was not priced; {} = there is no such call."""

    facts: Row
    revisions: int
    records: tuple[Row, ...]
    attempts: tuple[Row, ...]
    charges: tuple[Explained, ...]


RECENT_MS = (900_000, 14_400_000)
"""Where the newest calls are looked for first: of a busy subject they are there, and a whole day takes a hundred times as long."""


def search(
    ask: Ask, subject: Mapping[str, str], tenant: str, from_ms: int, most: int = 50, to_ms: int = 0, now_ms: int = 0
) -> list[Row]:
    """The newest calls of a subject whose end was received since `from_ms`, and up to `to_ms` (0 = now), priced or not. `now_ms`: with it the
    last minutes are asked first."""
    for recent_ms in RECENT_MS:
        if now_ms - recent_ms > from_ms and len(found := ask(one_call.search(subject, tenant, now_ms - recent_ms, most))) >= most:
            return found
    return ask(one_call.search(subject, tenant, from_ms, most, to_ms))


def place_of(text: str) -> tuple[int, int]:
    """Partition and offset of a call, as its address names it. Raises `BadArgument`.

    >>> place_of("3-120")
    (3, 120)
    """
    partition, _, offset = text.partition("-")
    if not (partition.isascii() and partition.isdigit() and len(partition) < 9 and offset.isascii() and offset.isdigit() and len(offset) < 19):
        raise BadArgument(f"{text[:40]!r} is no call: a call is PARTITION-OFFSET, such as 3-120.")
    return int(partition), int(offset)


def one(ask: Ask, terms_of: Callable[[int], Terms], tenant: str, place: str) -> OneCall:
    """All that is stored of a call; `tenant` "" = of whichever tenant it is. Raises `BadArgument`."""
    partition, offset = place_of(place)
    found = ask(one_call.call(tenant, partition, offset)) or ask(one_call.unpriced(tenant, partition, offset))
    if not found:
        return OneCall({}, 0, (), (), ())
    facts = found[0]
    moments = [at for at in (facts.get("setup_ms"), facts.get("answer_ms"), facts.get("end_ms"), facts["learned_ms"]) if at]
    span = min(moments), max(moments)
    records = ask(one_call.records(facts["tenant"], partition, facts["call_key"], *span)) if facts["call_key"] else [facts]
    attempts = ask(one_call.attempts(facts["tenant"], facts["call_key"], *span)) if facts["call_key"] else []
    charges = ask(one_call.charges(facts["tenant"], partition, offset))
    top = max(((row["revision"], row["run"]) for row in charges), default=(0, 0))
    counted = [row for row in charges if (row["revision"], row["run"]) == top]
    explained = tuple(explain(terms_of, facts, row, split(counted, row)) for row in counted)
    return OneCall(facts, len({row.get("revision", 1) for row in found}), tuple(records), tuple(attempts), explained)


def split(charges: list[Row], row: Row) -> bool:
    """Whether a charge is one of several segments of a call, which one derivation does not explain."""
    key = ("role", "level", "attempt_no")
    return sum(all(one[name] == row[name] for name in key) for one in charges) > 1


def explain(terms_of: Callable[[int], Terms], facts: Row, charge: Row, in_segments: bool) -> Explained:
    """The derivation of a charge, by the contracts that priced it."""
    if charge["start_ms"] is None:
        return Explained(charge, (), False, "the attempt was not answered: only its fee")
    talk_ms = max(0, (charge["end_ms"] or charge["start_ms"]) - charge["start_ms"])
    asked = quotes.QuoteRequest(
        charge["account"], facts["b_number"], facts["a_number"], facts.get("lrn", ""), charge["carrier"] if charge["role"] == "buy" else "",
        charge["start_ms"], talk_ms, facts.get("setup_ms"),
    )  # fmt: skip
    terms = terms_of(charge["config_version"])
    levels = [quotes.ask(terms, charge["tenant"], asked)]
    if charge["role"] == "sell" and charge["level"]:
        levels = [one for one in quotes.resellers(terms, charge["tenant"], asked) if one.level == charge["level"]]
    if not levels or levels[0].why_not:
        return Explained(charge, (), False, levels[0].why_not if levels else "this level has no contract in that version")
    rows = tuple(quotes.derivation(levels[0]))
    return Explained(charge, rows, levels[0].nanos == charge["nanos"] and not in_segments)
