"""Alerts and blocks as HTML: what, why, since when, the money at risk, and the status."""

from __future__ import annotations

import re
from collections.abc import Callable

from books.orders import StoredOrder
from core.alert_text import blocked_calls_text, caller_text, finding_text, observed_text, range_text
from core.detector_names import detector_text
from core.facts import UNPRICED
from core.money import to_decimal
from core.orders import Finding, Key
from core.text import amount, masked, moment, span
from dashboards.books_view import Alert, AtSwitch, Block
from dashboards.tags import Safe, tag

Mask = Callable[[str, tuple[str, ...]], str]


def unmasked(text: str, plain: tuple[str, ...] = ()) -> str:
    """For a person who may see full numbers."""
    return text


def mask_of(may_act: bool) -> Mask:
    return unmasked if may_act else masked


STATUS_TEXT = {
    "standing": ("blocked", "stands"),
    "shadow": ("in shadow", "shadow"),
    "waiting": ("waits for approval", "waits"),
    "refused": ("not blocked: protected", "plain"),
    "stale": ("not blocked: too old", "plain"),
    "suppressed": ("not blocked: unblocked before", "plain"),
    "lifted": ("lifted", "plain"),
    "expired": ("block expired", "plain"),
}


def status_badge(order: StoredOrder | None) -> Safe:
    """The status of an alert's order, as a badge."""
    if order is None:
        return tag("span", "alert only", cls="rf-badge plain")
    label, cls = STATUS_TEXT.get(order.status, (order.status, "plain"))
    by = f" by {order.decided_by}" if order.status == "lifted" and order.decided_by else ""
    return tag("span", f"{label}{by}", cls=f"rf-badge {cls}", title=order.status_why)


def alert_text(finding: Finding, order: StoredOrder | None, now_ms: int) -> str:
    """A finding as text, with the status of its order."""
    facts = finding.facts
    if facts is None:
        return finding.reason
    if order is None:
        return finding_text(facts)
    calls, until = blocked_calls_text(facts), utc(order.order.expires_at_ms, now_ms)
    why = f": {order.status_why}" if order.status_why else ""
    done = {
        "standing": f"{calls[:1].upper()}{calls[1:]} are refused until {until}.",
        "shadow": f"Shadow mode, nothing is refused: {calls} would be, until {until}.",
        "waiting": f"Nothing is refused yet: the order waits for approval{why}.",
        "lifted": f"No longer refused: lifted{f' by {order.decided_by}' if order.decided_by else ''}.",
        "expired": "The block has expired.",
    }.get(order.status, f"Not refused{why}.")
    return f"{observed_text(facts)} {done}"


def alert(one: Alert, now_ms: int, mask: Mask) -> Safe:
    """One alert."""
    finding = one.finding
    text = alert_text(finding, one.order, now_ms)
    plain = ranges_of(finding.subject, text)
    exposure = amount(to_decimal(finding.exposure_nanos)) if finding.exposure_nanos or finding.currency else "–"
    facts = (
        finding.tenant,
        detector_text(finding.detector),
        f"{finding.calls:,} call{'s' * (finding.calls != 1)}",
        f"{finding.score:,.1f} times the threshold",
        f"since {utc(finding.first_ms, now_ms)}, last {utc(finding.last_ms, now_ms)}",
    )
    return tag(
        "article",
        tag(
            "header",
            tag("time", utc(finding.detected_at_ms, now_ms)),
            tag("strong", mask(title_of(finding), plain)),
            status_badge(one.order),
            tag("span", tag("b", exposure), f" {finding.currency}", cls="money"),
        ),
        tag("p", mask(text, plain)),
        tag("footer", "  ·  ".join(facts)),
        cls="rf-card alert" + (" hot" if one.order is not None and one.order.status in ("standing", "waiting") else ""),
    )


def utc(at_ms: int, now_ms: int) -> str:
    """A time with its zone, and with its day if that is not today."""
    return f"{moment(at_ms, now_ms)} UTC"


def title_of(finding: Finding) -> str:
    """Who calls, and to where.

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
    """The ranges in a subject or reason, which are not masked: 10,000 numbers each, nobody's own. A reason writes … behind them.

    >>> ranges_of("acme/43664123456>8821312"), ranges_of("acme is sending 9 calls to +250 90067123… (Rwanda), +8821312…")
    (('8821312',), ('90067123', '8821312'))
    """
    return tuple(one or two for text in texts for one, two in _RANGE.findall(text))


def block(one: Block, now_ms: int, mask: Mask, caught: str = "") -> Safe:
    """One block, its state at each switch, and what it has caught."""
    order = one.order.order
    label, cls = STATUS_TEXT[one.status]
    title = {"standing": "refused", "shadow": "would be refused"}.get(one.status, label)
    left = f"ends {utc(one.until_ms, now_ms)}, in {span(max(0, one.until_ms - now_ms))}"
    who = "ordered automatically" if one.order.automatic else f"ordered by {order.by}"
    why = f"{order.reason} Waits for approval: {one.order.status_why}." if one.status == "waiting" else order.reason
    reason = mask(why, (*ranges_of(why), one.key.b_range))
    nowhere: Safe | str = "at no switch until it is approved" if one.status == "waiting" else "at no switch"
    return tag(
        "article",
        tag("header", tag("strong", *key_text(one.key, mask)), tag("span", title, cls=f"rf-badge {cls}")),
        tag("p", reason, title=reason),
        tag("footer", f"{one.key.tenant}  ·  {who}  ·  since {utc(one.since_ms, now_ms)}  ·  {left}"),
        tag("footer", caught) if caught else "",
        tag("footer", *(tuple(at_switch(state, now_ms) for state in one.at_switches) or (nowhere,))),
        cls=f"rf-card block {cls}",
    )


def at_switch(one: AtSwitch, now_ms: int) -> Safe:
    """The state of a block at a switch."""
    if one.removing:
        text, cls = "has not confirmed the removal yet", "way"
    elif one.acknowledged_ms is None:
        text, cls = "has not confirmed it yet", "way"
    else:
        text, cls = f"{'refuses' if one.refuses else 'only marks'}, confirmed {utc(one.acknowledged_ms, now_ms)}", "has"
    return tag("span", tag("b", one.switch), f" {text}", cls=f"rf-switch {cls}")


def key_text(key: Key, mask: Mask) -> list[Safe | str]:
    """The calls that a block refuses.

    >>> "".join(key_text(Key(tenant="t1", account="acme", a_number="436641234567", b_range="88213"), masked))
    'account acme, caller +4366••••••67, to +88213…'
    """
    who = key.who()
    caller = f", caller {mask(f'+{key.a_number}', ())}" if key.a_number else ""
    to = f", to +{key.b_range}…" if key.b_range else ", to every number"
    return [f"{who}{caller}{to}"]
