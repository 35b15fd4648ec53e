"""Alerts and blocks as HTML: what, why, since when, at stake, and what became of it."""

from __future__ import annotations

import re
from collections.abc import Callable

from books.orders import Kept
from core.alert_text import blocked_calls_text, caller_text, finding_text, observed_text, range_text
from core.facts import UNPRICED
from core.money import to_decimal
from core.orders import Finding, Key
from core.text import amount, masked, moment, span
from dashboards.books_view import Alert, AtSwitch, Block
from dashboards.tags import Safe, tag

Mask = Callable[[str, tuple[str, ...]], str]


def whole(text: str, plain: tuple[str, ...] = ()) -> str:
    """For a person who may see whole numbers."""
    return text


def mask_of(may_see: bool) -> Mask:
    return whole if may_see else masked


BECAME = {
    "standing": ("blocked", "stands"),
    "shadow": ("in shadow", "shadow"),
    "waiting": ("waits for a person", "waits"),
    "refused": ("not blocked: protected", "plain"),
    "stale": ("not blocked: too old", "plain"),
    "suppressed": ("not blocked: lifted by a person", "plain"),
    "lifted": ("lifted", "plain"),
    "expired": ("block is over", "plain"),
}

RULES = {
    "burst": "sudden spending", "cap_money_hour": "cap: money per hour", "cap_money_day": "cap: money per day",
    "cap_concurrent_calls": "cap: calls at once", "cap_calls_per_second": "cap: calls per second", "cap_first_seen": "first call to a country",
    "cap_calls_hour": "cap: calls per hour", "cap_minutes_hour": "cap: minutes per hour",
}  # fmt: skip
"""Detectors, as people call what they look for."""


def became(order: Kept | None) -> Safe:
    """What became of an alert, as a badge."""
    if order is None:
        return tag("span", "alert only", cls="rf-badge plain")
    words, cls = BECAME.get(order.status, (order.status, "plain"))
    by = f" by {order.decided_by}" if order.status == "lifted" and order.decided_by else ""
    return tag("span", f"{words}{by}", cls=f"rf-badge {cls}", title=order.status_why)


def words_now(finding: Finding, order: Kept | None, now_ms: int) -> str:
    """A finding in words, with what the books say was done about it."""
    facts = finding.facts
    if facts is None:
        return finding.reason
    if order is None:
        return finding_text(facts)
    calls, until = blocked_calls_text(facts), moment(order.order.expires_at_ms, now_ms)
    why = f": {order.status_why}" if order.status_why else ""
    done = {
        "standing": f"{calls[:1].upper()}{calls[1:]} are refused until {until}.",
        "shadow": f"In shadow, so nothing is refused: {calls} would be, until {until}.",
        "waiting": f"Nothing is refused yet: the order waits for a person{why}.",
        "lifted": f"Not refused any more: lifted{f' by {order.decided_by}' if order.decided_by else ''}.",
        "expired": "The block is over.",
    }.get(order.status, f"Not refused{why}.")
    return f"{observed_text(facts)} {done}"


def alert(one: Alert, now_ms: int, mask: Mask) -> Safe:
    """One alert."""
    finding = one.finding
    words = words_now(finding, one.order, now_ms)
    plain = ranges_of(finding.subject, words)
    exposure = amount(to_decimal(finding.exposure_nanos)) if finding.exposure_nanos or finding.currency else "–"
    facts = (
        finding.tenant,
        RULES.get(finding.detector, finding.detector.replace("_", " ")),
        f"{finding.calls:,} call{'s' * (finding.calls != 1)}",
        f"{finding.score:,.1f} times the line",
        f"since {moment(finding.first_ms, now_ms)}, last {moment(finding.last_ms, now_ms)}",
    )
    return tag(
        "article",
        tag(
            "header",
            tag("time", moment(finding.detected_at_ms, now_ms)),
            tag("strong", mask(title_of(finding), plain)),
            became(one.order),
            tag("span", tag("b", exposure), f" {finding.currency}", cls="money"),
        ),
        tag("p", mask(words, plain)),
        tag("footer", "  ·  ".join(facts)),
        cls="rf-card alert" + (" hot" if one.order is not None and one.order.status in ("standing", "waiting") else ""),
    )


def title_of(finding: Finding) -> str:
    """Who, and where to.

    >>> from core.facts import Facts
    >>> title_of(Finding(finding_id="f", tenant="t1", detector="burst", subject_kind="b_range", subject="acme/withheld>8821312",
    ...     detected_at_ms=1, first_ms=1, last_ms=1, calls=1, exposure_nanos=0, currency="", score=1.0, reason="", example_call_ids=[],
    ...     facts=Facts(subject_kind="b_range", account="acme", b_range="8821312", code="882")))
    'Withheld callers of acme, to +882 1312…'
    """
    facts = finding.facts
    if facts is None or facts.name or facts.subject_kind in ("range", "destination"):
        return finding.subject
    if facts.subject_kind == UNPRICED:
        return f"{caller_text(facts)}, to numbers that cannot be read or priced"
    return caller_text(facts) + (f", to {range_text(facts.b_range, facts.code)}" if facts.subject_kind == "b_range" else "")


_RANGE = re.compile(r">(\d{1,11})$|(?<!\d)(\d{1,11})…")


def ranges_of(*texts: str) -> tuple[str, ...]:
    """The ranges that a subject or a reason names: ten thousand numbers that begin alike, nobody's own. A reason writes … behind them.

    >>> ranges_of("acme/43664123456>8821312"), ranges_of("acme is sending 9 calls to +250 90067123… (Rwanda), +8821312…")
    (('8821312',), ('90067123', '8821312'))
    """
    return tuple(one or two for text in texts for one, two in _RANGE.findall(text))


def block(one: Block, now_ms: int, mask: Mask) -> Safe:
    """One block, and where it stands."""
    order = one.order.order
    words, cls = BECAME[one.status]
    title = {"standing": "refused", "shadow": "would be refused"}.get(one.status, words)
    left = f"ends {moment(one.until_ms, now_ms)}, in {span(max(0, one.until_ms - now_ms))}"
    who = "ordered by " + ("the rules" if one.order.automatic else order.by)
    why = f"{order.reason} Waits for a person: {one.order.status_why}." if one.status == "waiting" else order.reason
    reason = mask(why, (*ranges_of(why), one.key.b_range))
    nowhere: Safe | str = "at no switch until a person decides" if one.status == "waiting" else "at no switch"
    return tag(
        "article",
        tag("header", tag("strong", *key_words(one.key, mask)), tag("span", title, cls=f"rf-badge {cls}")),
        tag("p", reason, title=reason),
        tag("footer", f"{one.key.tenant}  ·  {who}  ·  since {moment(one.since_ms, now_ms)}  ·  {left}"),
        tag("footer", *(tuple(place(p, now_ms) for p in one.places) or (nowhere,))),
        cls=f"rf-card block {cls}",
    )


def place(one: AtSwitch, now_ms: int) -> Safe:
    """Whether a switch has it."""
    if one.goes:
        words, cls = "does not confirm yet that it lets these calls pass", "way"
    elif one.acknowledged_ms is None:
        words, cls = "has not confirmed it yet", "way"
    else:
        words, cls = f"{'refuses' if one.refuses else 'marks'}, confirmed {moment(one.acknowledged_ms, now_ms)}", "has"
    return tag("span", tag("b", one.switch), f" {words}", cls=f"rf-place {cls}")


def key_words(key: Key, mask: Mask) -> list[Safe | str]:
    """Whom a block refuses.

    >>> "".join(key_words(Key(tenant="t1", account="acme", a_number="436641234567", b_range="88213"), masked))
    'account acme, caller 4366••••••67, to 88213…'
    """
    who = f"account {key.account}" if key.account else f"trunk {key.ingress_trunk}"
    caller = f", caller {mask(key.a_number, ())}" if key.a_number else ""
    to = f", to {key.b_range}…" if key.b_range else ", to every number"
    return [f"{who}{caller}{to}"]
