"""When a hit becomes a finding, a new episode or an order, and whom the order blocks."""

from __future__ import annotations

import pytest

from core.facts import UNPRICED, Facts
from core.ids import derived_id
from core.orders import Key
from core.policy import Policy
from core.safety import MAX_TTL_MS, Protected
from detectors import alerts
from detectors.alerts import Alert
from detectors.blocked import Blocked
from detectors.protocol import Hit

START_MS = 1_790_000_000_000 // 3_600_000 * 3_600_000
ID = ("t1", "burst", "account", "acme")


def issues(*hits: tuple[int, float], policy: Policy = Policy()) -> tuple[list[int], dict[str, Alert], list[str]]:
    """The issue number of each hit's finding (0: none is written), the alerts at the end, and the ids of the findings."""
    running: dict[str, Alert] = {}
    written, ids = [], []
    for after_ms, score in hits:
        t_ms = START_MS + after_ms
        if alerts.is_recent(running, "name", t_ms, score, policy):
            written.append(0)
            continue
        alert = alerts.episode(running, "name", t_ms, score, policy, ID, 5)
        written.append(alert.issues)
        ids.append(alert.finding_id)
    return written, running, ids


@pytest.mark.parametrize(
    ("after_ms", "written", "findings"),
    [
        ([0, 59_999], [1, 0], 1),  # written a moment ago
        ([0, 60_000, 119_999, 120_000], [1, 2, 0, 3], 1),  # again each minute
        ([0, 3_600_000, 7_200_000], [1, 2, 3], 1),  # an hour of silence: still the same episode
        ([0, 3_600_001], [1, 1], 2),  # more than an hour: a new one
        ([100_000, 30_000, 3_700_000], [1, 0, 2], 1),  # a late hit does not shorten the episode
        ([0, 30_000, 3_630_000], [1, 0, 2], 1),  # a hit that is not written extends it
    ],
)
def test_a_finding_is_written_once_a_minute_and_an_episode_ends_after_an_hour_without_a_hit(after_ms, written, findings):
    found, _, ids = issues(*((ms, 1.0) for ms in after_ms))
    assert found == written and len(set(ids)) == findings


def test_an_alert_starts_with_its_hit_and_has_the_highest_score():
    _, running, (finding_id,) = issues((7, 1.5))
    t_ms = START_MS + 7
    assert running == {"name": Alert(finding_id, t_ms, t_ms, t_ms, 1.5, home=5, written_ms=t_ms, issues=1)}
    assert finding_id == derived_id("finding", *ID, t_ms // 3_600_000), "a restart derives the same id"
    _, running, _ = issues((0, 1.5), (1000, 3.0), (2000, 2.0))
    assert (running["name"].score, running["name"].last_ms, running["name"].first_ms) == (3.0, START_MS + 2000, START_MS)


def test_an_alert_without_a_home_spans_accounts_and_has_its_own_start():
    running: dict[str, Alert] = {}
    one, other = (alerts.episode(running, name, START_MS, 1.0, Policy(), ID) for name in "ab")
    one.start["nanos"] = 7
    assert (one.home, other.start) == (-1, {})
    fresh = Alert("finding-1", 1, 1, 1, 1.0)
    assert (fresh.home, fresh.written_ms, fresh.issues, fresh.ordered_to_ms) == (-1, 0, 0, 0)


def test_episodes_that_ended_before_a_time_are_forgotten():
    running = {str(last_ms): Alert("finding-1", 1, 1, last_ms, 1.0) for last_ms in (99, 100, 101)}
    alerts.forget(running, 100)
    assert list(running) == ["100", "101"]


ROW = {
    "tenant": "t1", "account": "acme", "ingress_trunk": "in", "a_number": "4366", "b_range": "8821312", "country": "MV",
    "t_ms": START_MS, "learned_ms": START_MS + 500,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "changes", "subject"),
    [
        ("account", {}, "acme"),
        ("account", {"account": ""}, "trunk:in"),
        ("a_number", {}, "acme/4366"),
        ("b_range", {}, "acme/4366>8821312"),
        ("b_range", {"a_number": "", "account": ""}, "trunk:in/withheld>8821312"),
        (UNPRICED, {}, "acme>numbers that cannot be read or priced"),
        ("destination", {}, "acme>MV"),
        ("destination", {"country": ""}, "acme>no country"),
    ],
)
def test_a_subject_has_a_text(kind, changes, subject):
    assert alerts.subject_of(kind, ROW | changes) == subject


def test_a_kind_of_subject_without_a_text_is_an_error_that_says_where_to_add_it():
    with pytest.raises(ValueError, match=r"kind 'carrier' have no text: add one to `detectors\.alerts\.subject_of`"):
        alerts.subject_of("carrier", ROW)


ACCOUNT = Key(tenant="t1", account="acme")
RANGE = Key(tenant="t1", account="acme", a_number="4366", b_range="8821312")


@pytest.mark.parametrize(
    ("hit", "row", "policy", "expected"),
    [
        (Hit(0, "burst", "account", 1.0), {}, Policy(), (ACCOUNT, "")),
        (Hit(0, "burst", "a_number", 1.0), {}, Policy(), (Key(tenant="t1", account="acme", a_number="4366"), "")),
        (Hit(0, "burst", "b_range", 1.0), {}, Policy(), (RANGE, "")),
        (Hit(0, "burst", UNPRICED, 1.0), {}, Policy(), (ACCOUNT, "")),
        (Hit(0, "refiling", "a_range", 1.0), {}, Policy(), (Key(tenant="t1", account="acme", a_number="4366"), "")),
        (Hit(0, "refiling", "a_range", 1.0), {"a_number": ""}, Policy(), (None, "callers")),  # never the whole account
        (Hit(0, "burst", "b_range", 1.0), {"account": ""}, Policy(), (None, "no account")),
        (Hit(0, "burst", "account", 9.0, "b_range"), {}, Policy(), (None, "b_range")),  # left to the narrower level
        (Hit(0, "burst", UNPRICED, 9.0), {}, Policy(unpriced_blocks="never"), (None, "policy")),
        (Hit(0, "burst", "account", 9.0), {}, Policy(unpriced_blocks="never"), (ACCOUNT, "")),
        (Hit(0, "burst", "account", 1.99), {}, Policy(order_score=2.0), (None, "score")),
        (Hit(0, "burst", "account", 2.0), {}, Policy(order_score=2.0), (ACCOUNT, "")),
    ],
)
def test_a_hit_proposes_a_block_of_its_subject_or_says_why_not(hit, row, policy, expected):
    assert alerts.key_of(hit, ROW | row, policy) == expected


def test_an_order_lives_from_when_the_record_was_learned_of():
    alert = Alert("finding-1", START_MS, START_MS, START_MS, 1.0, issues=3)
    order, forbidden = alerts.order_for(RANGE, alert, START_MS, START_MS + 500, "why", Policy(order_ttl_ms=1000), Protected())
    assert order is not None and forbidden == ""
    assert (order.created_at_ms, order.learned_ms, order.expires_at_ms) == (START_MS, START_MS + 500, START_MS + 1500)
    assert (order.key, order.action, order.finding_id, order.reason, order.by, order.ask) == (RANGE, "refuse", "finding-1", "why", "judge", False)
    again, _ = alerts.order_for(RANGE, Alert("finding-1", 0, 0, 0, 1.0, issues=4), START_MS, START_MS, "why", Policy(), Protected(), "watch")
    assert again is not None and again.order_id != order.order_id and again.by == "watch"


@pytest.mark.parametrize(
    ("key", "protected", "policy", "rule"),
    [
        (Key(tenant="t1", account="acme", b_range="11"), Protected(numbers=("112",)), Policy(), "overlaps the protected number 112"),
        (Key(tenant="t1", ingress_trunk="in"), Protected(), Policy(), "a trunk is never blocked without a person"),
        (ACCOUNT, Protected(), Policy(order_ttl_ms=MAX_TTL_MS + 1), "at most 7 days"),
    ],
)
def test_a_safety_rule_can_forbid_an_order(key, protected, policy, rule):
    order, forbidden = alerts.order_for(key, Alert("finding-1", 1, 1, 1, 1.0), START_MS, START_MS, "why", policy, protected)
    assert order is None and rule in forbidden


def reported(hit: Hit, alert: Alert, *, after_ms: int = 0, examples=(("c1", START_MS - 9),), policy: Policy = Policy(), **row):
    row = ROW | {"t_ms": START_MS + after_ms, "learned_ms": START_MS + after_ms} | row
    facts = Facts(subject_kind=hit.subject_kind, account="acme", calls=40, nanos=7, currency="EUR")
    return alerts.report(hit, row, "acme", facts, alert, list(examples), policy, Protected())


def test_a_finding_has_the_facts_of_its_episode():
    alert = Alert("finding-1", START_MS, START_MS, START_MS + 3, 1.23456, issues=1)
    finding, order = reported(Hit(0, "burst", "account", 1.0), alert, examples=[("c1", START_MS - 9), ("c2", START_MS - 20)])
    assert order is not None and finding.key == order.key == ACCOUNT
    assert (finding.first_ms, finding.last_ms, finding.detected_at_ms) == (START_MS - 20, START_MS + 3, START_MS)
    assert (finding.calls, finding.exposure_nanos, finding.score) == (40, 7, 1.235)
    assert finding.example_call_ids == ["c1", "c2"]
    assert (finding.facts.action, finding.facts.ttl_ms, finding.facts.no_block) == ("block", 3_600_000, "")
    assert order.reason in finding.reason
    finding, _ = reported(Hit(0, "cap_money_hour", "account", 1.0, cap="money_hour"), alert)
    assert finding.calls == 1, "a cap counts no calls of its own: those that it shows"


TTL_MS = 3_600_000


@pytest.mark.parametrize(
    ("after_ms", "action", "ttl_ms", "no_block"),
    [(1, "before", TTL_MS - 1, ""), (TTL_MS - 1, "before", 1, ""), (TTL_MS, "", 0, "score"), (TTL_MS + 5, "", 0, "score")],
)
def test_where_no_order_is_issued_an_earlier_one_may_be_in_force(after_ms, action, ttl_ms, no_block):
    alert = Alert("finding-1", START_MS, START_MS, START_MS, 9.0, issues=1)
    reported(Hit(0, "burst", "account", 1.0), alert)
    finding, order = reported(Hit(0, "burst", "account", 0.5), alert, after_ms=after_ms)
    assert order is None and (finding.key, finding.facts.action, finding.facts.ttl_ms, finding.facts.no_block) == (None, action, ttl_ms, no_block)


@pytest.mark.parametrize(("blocks", "kind", "ask"), [("ask", UNPRICED, True), ("automatic", UNPRICED, False), ("ask", "account", False)])
def test_an_order_that_waits_for_a_person_is_not_yet_in_force(blocks, kind, ask):
    alert = Alert("finding-1", START_MS, START_MS, START_MS, 9.0, issues=1)
    policy = Policy(unpriced_blocks=blocks)
    finding, order = reported(Hit(0, "burst", kind, 1.0), alert, policy=policy)
    assert order is not None and order.ask is ask
    assert (finding.facts.action, finding.facts.ttl_ms) == ("ask" if ask else "block", TTL_MS)
    later, _ = reported(Hit(0, "burst", kind, 0.5), alert, after_ms=1, policy=policy)
    assert later.facts.action == ("" if ask else "before")


ZONE = Key(tenant="t1", account="acme", b_range="2527")
ONE_RANGE = Key(tenant="t1", account="acme", b_range="25271234")
LIKELY = Hit(0, "takeover", "account_zone", 1.2, probability=0.97, loss=3.0, can_repeat=True, risky=False)


@pytest.mark.parametrize(
    ("what", "hit", "key", "is_remembered"),
    [
        ("an ordinary destination, and little is lost: one range, and no reason for others", LIKELY, ONE_RANGE, False),
        ("premium, satellite, unallocated, or known for fraud", LIKELY._replace(risky=True), ZONE, True),
        ("money burns", LIKELY._replace(loss=10.0), ZONE, True),
        ("a rule that is no probability", LIKELY._replace(can_repeat=False), ZONE, True),
    ],
)
def test_a_doubtful_first_block_is_narrow_and_leads_to_no_other(what, hit, key, is_remembered):
    before: dict[int, Blocked] = {}
    alert = Alert("finding-1", START_MS, START_MS, START_MS, 1.2, issues=1)
    row = ROW | {"zone": "2527", "b_range": "25271234", "k_account": 7, "home": 0}
    facts = Facts(subject_kind="account_zone", account="acme", b_range="2527", code="252", calls=9, nanos=7, currency="EUR")
    finding, order = alerts.report(hit, row, "acme", facts, alert, [("c1", START_MS)], Policy(), Protected(), before)
    assert order is not None and order.key == key and order.expires_at_ms - order.learned_ms == TTL_MS, what
    assert bool(before) == is_remembered and (before == {} or round(before[7].odds, 1) == 3.5)
    assert ("to +252 71234… alone" in finding.reason) == (key == ONE_RANGE)
    later, _ = alerts.report(hit._replace(score=0.9, probability=0.5), row, "acme", facts, alert, [("c1", START_MS)], Policy(), Protected(), before)
    assert ("to +252 71234… alone" in later.reason) == (key == ONE_RANGE), "what was ordered before is told as it is"


def test_what_an_account_was_blocked_for_makes_its_next_ordinary_destination_no_doubt():
    before: dict[int, Blocked] = {}
    row = ROW | {"zone": "2527", "b_range": "25271234", "k_account": 7, "home": 0}
    facts = Facts(subject_kind="account_zone", account="acme", b_range="2527", code="252", calls=9, nanos=7, currency="EUR")
    for name, hit in (("finding-1", LIKELY._replace(risky=True)), ("finding-2", LIKELY)):
        alert = Alert(name, START_MS, START_MS, START_MS, 1.2, issues=1)
        _, order = alerts.report(hit, row, "acme", facts, alert, [("c1", START_MS)], Policy(), Protected(), before)
    assert order is not None and order.key == ZONE
