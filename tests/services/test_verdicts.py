"""A person's verdict on an alert, and what follows from it."""

from __future__ import annotations

import math

import msgspec
import pytest
from typer.testing import CliRunner

from books import Connection, alerts, audit, configs, orders, verdicts
from core.decide import decide
from core.facts import Contribution, Facts
from core.ids import derived_id
from core.orders import BlockOrder, Finding, Key
from core.policy import Policy
from detectors.corrector import LEAST, Judged, learn
from ringfence.cli import app
from services import alert_desk
from services import verdicts as service
from services.backtest import policy_in_force
from services.errors import BadArgument, ServiceError, UnknownName

NOW = 1_764_072_000_000
HOUR, DAY = 3_600_000, 86_400_000
KEY = Key(tenant="t1", account="acme", b_range="88213")


def alert(
    conn: Connection, name: str, detector: str = "burst", subject: str = "acme>88213", at_ms: int = NOW, kind: str = "account_range"
) -> Finding:
    finding = Finding(
        finding_id=name, tenant="t1", detector=detector, subject_kind=kind, subject=subject, detected_at_ms=at_ms, first_ms=at_ms,
        last_ms=at_ms, calls=4, exposure_nanos=10**9, currency="EUR", score=2.0, reason="r", example_call_ids=[], key=KEY,
        facts=Facts(subject_kind="account_range", account="acme", b_range="8821312"),
    )  # fmt: skip
    alerts.upsert(conn, finding, at_ms)
    return finding


def order(finding_id: str, n: int = 1, at_ms: int = NOW) -> BlockOrder:
    return BlockOrder(
        order_id=f"{finding_id}-{n}", key=KEY, action="refuse", created_at_ms=at_ms, learned_ms=at_ms, expires_at_ms=at_ms + HOUR,
        finding_id=finding_id, reason="r",
    )  # fmt: skip


def comes(conn: Connection, one: BlockOrder) -> str:
    decision = decide(one, orders.facts(conn, [one], NOW, automatic=True))
    orders.write(conn, one, decision, NOW, automatic=True)
    return decision.status


def test_not_fraud_lifts_the_orders_of_the_alert_and_keeps_its_detector_quiet(conn):
    alert(conn, "f1")
    alert(conn, "f2", detector="takeover")
    assert [comes(conn, order("f1")), comes(conn, order("f2"))] == ["shadow", "shadow"]
    given = service.give(conn, "f1", "not fraud", "anna", "their campaign", NOW, quiet_ms=2 * DAY)
    assert given.lifted == ["f1-1"] and given.quiet_until_ms == NOW + 2 * DAY
    assert comes(conn, order("f1", 2)) == "suppressed"
    assert comes(conn, order("f2", 2)) == "shadow"  # another detector speaks on
    stored = orders.find(conn, "f1-2")
    assert stored is not None and stored.status_why == "anna said that acme>88213 is not fraud (burst of money): their campaign"


def test_an_order_that_comes_before_its_finding_is_held_back_as_well(conn):
    alert(conn, "f1")
    service.give(conn, "f1", "not fraud", "anna", "their campaign", NOW)
    unknown = derived_id("finding", "t1", "burst", "account_range", "acme>88213", NOW // HOUR)
    other = derived_id("finding", "t1", "burst", "account_range", "acme>43", NOW // HOUR)
    assert [comes(conn, order(unknown)), comes(conn, order(other))] == ["suppressed", "shadow"]


def test_fraud_spreads_to_the_open_alerts_of_the_subject_alone(conn):
    alert(conn, "f1")
    alert(conn, "open", detector="takeover")
    alert(conn, "old", detector="irsf_range", at_ms=NOW - 2 * DAY)
    alert(conn, "other", subject="blue>88213")
    alert(conn, "judged", detector="irsf_short")
    service.give(conn, "judged", "not fraud", "ben", "a test line", NOW)
    assert service.give(conn, "f1", "fraud", "anna", "the customer confirmed it", NOW).spread_to == ["open"]
    found = {one.finding_id: (one.verdict, one.spread_from) for one in verdicts.every(conn, "t1")}
    assert found == {"f1": ("fraud", ""), "open": ("fraud", "f1"), "judged": ("not fraud", "")}


def test_a_carrier_of_the_same_name_is_another_subject(conn):
    alert(conn, "f1", subject="alpha", kind="account")
    alert(conn, "f2", "fas", "alpha", kind="carrier")
    service.give(conn, "f1", "fraud", "anna", "w", NOW)
    assert verdicts.of(conn, ["f1", "f2"]).keys() == {"f1"}


def test_what_people_say_again_and_again_corrects_a_detector_and_a_change_is_noticed(conn):
    evidence = [Contribution("rate", 8.0, 9.0, 1.0), Contribution("answered", 4.0, 0.9, 0.5)]
    facts = Facts(subject_kind="account_range", account="acme", fraud="irsf", prior=-10.0, odds=2.0, evidence=evidence)
    for n in range(60):
        one = msgspec.structs.replace(alert(conn, f"f{n:02}", subject=f"acme>{n}"), facts=facts)
        alerts.upsert(conn, one, NOW)
        service.give(conn, one.finding_id, "fraud" if n < 20 else "not fraud", "anna", "looked at it", NOW + n)
    found = service.correction(conn, "t1")
    assert found.learned == 60 and found.helps and found.probability(facts) < 0.5 < 1 / (1 + math.exp(-2.0))
    [watched] = service.drifting(conn, "t1")
    assert (watched.verdicts, round(watched.precision, 2)) == (60, 0.33) and watched.drifts and watched.now < 0.2
    half = [Judged(facts, n < 20) for n in range(60)]
    assert learn(half) == learn(iter(half)) and len(found.weights) <= 4  # the state is one weight per code


def test_a_verdict_may_be_changed_and_then_the_subject_is_quiet_no_more(conn):
    alert(conn, "f1")
    service.give(conn, "f1", "not fraud", "anna", "their campaign", NOW)
    service.give(conn, "f1", "fraud", "ben", "it was not", NOW + 1)
    assert list(verdicts.quiet(conn, NOW + 2).values()) == []
    assert verdicts.of(conn, ["f1"])["f1"].verdict == "fraud"
    assert [line.verb for line in audit.last(conn) if line.subject.startswith("f1")] == ["verdict: fraud", "verdict: not fraud"]


@pytest.mark.parametrize(
    ("finding", "word", "why", "quiet_ms", "error"),
    [
        ("f1", "perhaps", "w", DAY, BadArgument),
        ("f1", "fraud", " ", DAY, ServiceError),
        ("f9", "fraud", "w", DAY, UnknownName),
        ("f1", "not fraud", "w", 91 * DAY, BadArgument),
        ("f1", "not fraud", "w", 0, BadArgument),
    ],
)
def test_what_cannot_be_stored_changes_nothing(conn, finding, word, why, quiet_ms, error):
    alert(conn, "f1")
    with pytest.raises(error):
        service.give(conn, finding, word, "anna", why, NOW, quiet_ms)
    assert verdicts.every(conn) == [] and list(verdicts.quiet(conn, NOW).values()) == []


def test_the_queue_leaves_out_what_its_detector_is_quiet_about(conn):
    for name in ("f1", "f2"):
        alert(conn, name)
    alert(conn, "f3", detector="takeover")
    service.give(conn, "f1", "not fraud", "anna", "their campaign", NOW)
    found = {one.finding.finding_id: one.verdict and one.verdict.verdict for one in alert_desk.queue(conn, "t1", NOW + 1)}
    assert found == {"f1": "not fraud", "f3": None}
    assert len(alert_desk.queue(conn, "t1", NOW + service.QUIET_MS)) == 3


def test_the_command_stores_a_verdict_and_says_what_follows(tmp_path):
    from core.clock import wall_clock_ms
    from services import first_start
    from services.installation import Installation, books

    at = Installation.embedded(tmp_path)
    first_start.lay(at)
    first_start.open_and_publish(at, first_start.starter("t1"), NOW)
    with books(at) as conn:
        alert(conn, "f1", at_ms=wall_clock_ms())
    run = CliRunner().invoke
    said = run(app, ["alerts", "verdict", "f1", "not fraud", "--why", "their campaign", "--who", "anna", "--quiet", "2d", "--home", str(tmp_path)])
    assert said.output.strip() == "acme>88213: not fraud. “burst of money” is quiet about it for 2d.", said.output
    listed = run(app, ["alerts", "list", "--home", str(tmp_path)]).output
    assert "not fraud (anna: their campaign)" in listed
    assert "acme is sending" in run(app, ["alerts", "show", "f1", "--home", str(tmp_path)]).output
    wrong = run(app, ["alerts", "verdict", "f9", "fraud", "--why", "w", "--home", str(tmp_path)])
    assert wrong.exit_code == 1 and "There is no alert f9" in wrong.output


# --- the corrector in judge ---


def say(conn: Connection, numbers: range, fraud: bool) -> None:
    """Verdicts on alerts that rest on the price alone, which people call wrong or right."""
    for number in numbers:
        evidence = [Contribution("price", 8.0, 2.0, 0.1), Contribution("rate", 5.0, 9.0, 1.0)]
        facts = Facts(subject_kind="account", account="acme", fraud="irsf", prior=-10.0, evidence=evidence)
        finding = msgspec.structs.replace(alert(conn, f"said-{number}", subject=f"acme-{number}", at_ms=NOW + number), facts=facts, key=None)
        alerts.upsert(conn, finding, NOW + number)
        service.give(conn, finding.finding_id, "fraud" if fraud else "not fraud", "anna", "looked", NOW + number)


def test_the_corrector_learns_from_verdicts_and_waits_until_there_are_enough(conn):
    say(conn, range(10), fraud=False)
    assert policy_in_force(conn, "t1") == Policy(), "off: verdicts change no config"
    assert service.correct(conn, "t1", True, "anna", "try it", NOW).corrected_by == 0
    version = configs.latest(conn)
    say(conn, range(10, LEAST - 1), fraud=False)
    assert configs.latest(conn) == version, "too few to tell"
    say(conn, range(LEAST - 1, LEAST + 1), fraud=False)
    policy = policy_in_force(conn, "t1")
    assert policy.corrected_by == LEAST and policy.corrections["price"] < 0
    assert configs.latest(conn) == version + 1, "a version per handful of verdicts, not per verdict"
    say(conn, range(LEAST + 1, LEAST + 6), fraud=False)
    assert policy_in_force(conn, "t1").corrected_by == LEAST + 5
    assert service.correct(conn, "t1", False, "anna", "enough", NOW) == Policy()
    assert policy_in_force(conn, "t1") == Policy()


def test_a_correction_that_rests_on_too_few_verdicts_any_more_is_withdrawn(conn):
    say(conn, range(LEAST), fraud=False)
    assert service.correct(conn, "t1", True, "anna", "try it", NOW).corrected_by == LEAST
    service.give(conn, "said-3", "unsure", "ben", "I would not have said so", NOW + DAY)
    assert policy_in_force(conn, "t1") == Policy(corrector="on")
