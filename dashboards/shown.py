"""Alerts and blocks as HTML: what, why, since when, at stake, and what became of it."""

from __future__ import annotations

import re
from collections.abc import Callable

from books.orders import Kept
from core.money import to_decimal
from core.orders import Key
from core.words import amount, masked, moment, span
from dashboards.promises import Alert, Block, Place
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


def became(order: Kept | None) -> Safe:
    """What became of an alert, as a badge."""
    if order is None:
        return tag("span", "a warning, no order", cls="rf-badge plain")
    words, cls = BECAME.get(order.status, (order.status, "plain"))
    by = f" by {order.decided_by}" if order.status == "lifted" and order.decided_by else ""
    return tag("span", f"{words}{by}", cls=f"rf-badge {cls}", title=order.status_why)


def alert(one: Alert, now_ms: int, mask: Mask) -> Safe:
    """One alert."""
    finding = one.finding
    plain = ranges_of(finding.subject, finding.reason)
    exposure = amount(to_decimal(finding.exposure_nanos)) if finding.exposure_nanos or finding.currency else "–"
    facts = (
        finding.tenant,
        finding.detector.replace("_", " "),
        f"{finding.calls:,} call{'s' * (finding.calls != 1)}",
        f"{finding.score:,.1f} times the line",
        f"since {moment(finding.first_ms, now_ms)}, last {moment(finding.last_ms, now_ms)}",
    )
    return tag(
        "article",
        tag(
            "header",
            tag("time", moment(finding.detected_at_ms, now_ms)),
            tag("strong", mask(finding.subject, plain)),
            became(one.order),
            tag("span", tag("b", exposure), f" {finding.currency}", cls="money"),
        ),
        tag("p", mask(finding.reason, plain)),
        tag("footer", "  ·  ".join(facts)),
        cls="rf-card alert" + (" hot" if one.order is not None and one.order.status in ("standing", "waiting") else ""),
    )


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
    why = one.order.status_why if one.status == "waiting" else order.reason
    reason = mask(why, (*ranges_of(why), one.key.b_range))
    nowhere = "at no switch until a person decides" if one.status == "waiting" else "at no switch"
    return tag(
        "article",
        tag("header", tag("strong", *key_words(one.key, mask)), tag("span", title, cls=f"rf-badge {cls}")),
        tag("p", reason, title=reason),
        tag("footer", f"{one.key.tenant}  ·  {who}  ·  since {moment(one.since_ms, now_ms)}  ·  {left}"),
        tag("footer", *([place(p, now_ms) for p in one.places] or [nowhere])),
        cls=f"rf-card block {cls}",
    )


def place(one: Place, now_ms: int) -> Safe:
    """Whether a switch has it."""
    if one.goes:
        words, cls = "is being told to let it pass", "way"
    elif one.acknowledged_ms is None:
        words, cls = "is being told", "way"
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
