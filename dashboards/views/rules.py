"""The rule lab: change a threshold or turn a detector off, see on the past what that saves and whom it hurts, put it in shadow, and promote it with
the approval of another person, or throw it away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import streamlit as st

from books import Connection, Unavailable, reading
from books.rule_changes import RuleChange, State
from core.detector_names import detector_text
from core.policy import Policy
from core.roles import Right
from dashboards import jobs
from dashboards.acting import act
from dashboards.figures import by_currency, day
from dashboards.figures import change as money_change
from dashboards.layout import answered, back, facts, heading, link, message, quiet, title
from dashboards.tags import Safe, tag
from dashboards.tiles import table
from dashboards.visit import Visit
from detectors.protocol import Detector, Spanning
from detectors.registry import detectors, meanings, spanning
from flows.backtest import Counted, Result
from services import backtest, rule_lab
from services.config_file import shown_policy
from services.errors import ServiceError

EVERY_S = 1.0
MOST_DAYS = 92
BADGES = {"tried": "", "shadow": "shadow", "asked": "waits", "promoted": "stands-good", "thrown away": ""}
STEPS: dict[State, str] = {
    "shadow": "Put in shadow", "asked": "Ask for promotion", "promoted": "Promote", "thrown away": "Throw away", "tried": "",
}  # fmt: skip


def rules(visit: Visit) -> None:
    if not visit.allowed("fraud"):
        return
    title("Rule lab", "try a change on the past, watch it in shadow, and let another person promote it")
    if not visit.tenant:
        quiet("Choose a tenant: a policy is that of one tenant.")
        return
    if wanted := st.query_params.get("change", ""):
        back("All changes", "change")
        one(visit, wanted)
        return
    if visit.may("block") and visit.person.name:
        now = visit.sources.asked(("rules", visit.tenant, "policy"), lambda _: policy_of(visit), fresh_ms=10_000)
        if answered(now, visit.now_ms, "The policy") and now.value is not None:
            new(visit, now.value)
    running(visit, ("try", visit.tenant))
    every(visit)


# --- a new change ---


def policy_of(visit: Visit) -> Policy:
    with reading(visit.sources.engine()) as conn:
        return backtest.policy_in_force(conn, visit.tenant)


def new(visit: Visit, policy: Policy) -> None:
    """What is to change, over which days; the back-test runs in the background."""
    known: dict[str, Detector | Spanning] = {**{one.name: one for one in detectors()}, **{one.name: one for one in spanning()}}
    today = datetime.fromtimestamp(visit.now_ms / 1000, UTC).date()
    with st.expander("Try a change", expanded=True):
        named = sorted(known, key=lambda name: detector_text(name).lower())
        name = st.selectbox("Detector", named, format_func=detector_text, key="rf_rule_detector", bind="query-params")
        detector = known[str(name)]
        st.html(tag("div", f"It finds {detector.about}. Its name in a config file: {name}.", cls="rf-note"))
        notes = meanings(detector) if isinstance(detector, Detector) else {}
        with st.form("rf_rule", border=False):
            values = thresholds(policy, str(name))
            off = st.checkbox(f"Turn “{detector_text(str(name))}” off", value=name in policy.off, key=f"rf_rule_off_{name}")
            typed, boxes = {}, st.columns(3)
            for at, (parameter, value) in enumerate(values.items()):
                with boxes[at % 3]:
                    note = next((notes[field] for field in (parameter, f"{parameter}_s", f"{parameter}_ms") if field in notes), None)
                    label = parameter.replace("_", " ")
                    typed[parameter] = st.text_input(label, f"{value}", key=f"rf_rule_{name}_{parameter}", max_chars=64, help=note)
            from_box, to_box, why_box = st.columns([1, 1, 2])
            with from_box:
                first = st.date_input("From, UTC", today - timedelta(days=7), key="rf_rule_from")
            with to_box:
                last = st.date_input("To before", today + timedelta(days=1), key="rf_rule_to")
            with why_box:
                why = st.text_input("Reason", key="rf_rule_why", max_chars=500)
            if st.form_submit_button("Back-test it", key="rf_rule_try", type="primary"):
                changes = changes_of(policy, str(name), off, {key: text for key, text in typed.items() if text.strip() != f"{values[key]}"})
                begin(visit, changes, first, last, why.strip())


def thresholds(policy: Policy, name: str) -> Mapping[str, Any]:
    """The parameters of a detector under a policy, by their names in the config file."""
    found: Mapping[str, Any] = shown_policy(policy).get("detectors", {}).get(name, {})
    return found


def changes_of(policy: Policy, name: str, off: bool, typed: Mapping[str, str]) -> dict[str, Any]:
    """What differs from the policy in force.

    >>> changes_of(Policy(), "burst", True, {"account_floor": "60"})
    {'detectors': {'burst': {'account_floor': '60'}}, 'off': ['burst']}
    >>> changes_of(Policy(off=("burst",)), "burst", False, {})
    {'off': []}
    """
    found: dict[str, Any] = {"detectors": {name: dict(typed)}} if typed else {}
    if off != (name in policy.off):
        found["off"] = [*policy.off, name] if off else [one for one in policy.off if one != name]
    return found


def begin(visit: Visit, changes: dict[str, Any], first: date, last: date, why: str) -> None:
    """Checks the change, and starts the back-test."""
    from_ms, to_ms = (int(datetime(at.year, at.month, at.day, tzinfo=UTC).timestamp()) * 1000 for at in (first, last))
    try:
        if not changes or not why:
            raise ServiceError("Change something, and enter a reason: it is recorded in the audit log.")
        if to_ms - from_ms > MOST_DAYS * 86_400_000:
            raise ServiceError(f"At most {MOST_DAYS} days at once.")
        if not visit.may("block"):
            raise PermissionError("you may look at rules, and not change them")
        with reading(visit.sources.engine()) as conn:
            what = backtest.wanted(conn, from_ms, to_ms, visit.tenant, changes)
    except (ServiceError, Unavailable, PermissionError) as wrong:
        message(f"Not tried: {wrong}")
        return
    at, who, now_ms = visit.sources.installation, visit.person.name, visit.now_ms
    if not jobs.start(("try", visit.tenant), lambda progress: rule_lab.try_out(at, what, who, why, now_ms, progress)):
        message("A back-test of this tenant is running: wait until it is done.")


def running(visit: Visit, key: tuple[str, ...]) -> None:
    """How far the back-test is."""
    ended = jobs.of(key)
    if ended is None:
        return
    if ended.over:
        jobs.forget(key)
        visit.sources.forget("rules")
        if ended.error:
            message(f"The back-test failed: {ended.error}")
        return

    @st.fragment(run_every=EVERY_S)
    def bar() -> None:
        job = jobs.of(key)
        if job is None or job.over:
            st.rerun()
            return
        text = "waits for another one" if not job.started else f"{job.done:,} of {job.total:,} records" if job.total else "begins"
        st.progress(min(job.done / job.total, 1.0) if job.total else 0.0, f"Back-test: {text}")

    bar()


# --- all of them ---


def every(visit: Visit) -> None:
    """The changes of the tenant, the newest first."""

    def read(_: object) -> list[RuleChange]:
        with reading(visit.sources.engine()) as conn:
            return rule_lab.every(conn, visit.tenant)

    latest = visit.sources.asked(("rules", visit.tenant), read, fresh_ms=3_000)
    if not answered(latest, visit.now_ms, "Rule changes") or latest.value is None:
        return
    if not latest.value:
        quiet("Nothing was tried yet.")
        return
    rows: list[tuple[str | Safe, ...]] = []
    for change in latest.value:
        result = rule_lab.result_of(change.tried)
        before, after = (backtest.total(result.before), backtest.total(result.after)) if result else (Counted(), Counted())
        rows.append(
            (link(f"{change.id}", "rules", visit.tenant, change=f"{change.id}"), rule_lab.words_of(change.changes),
             tag("span", change.state, cls=f"rf-badge {BADGES[change.state]}"), change.who, change.why, money(after, before), hurt(after, before))
        )  # fmt: skip
    head = ("change", "what", "state", "by", "why", "money saved, more or less than now", "honest calls refused, more or less than now")
    st.html(table(head, rows, numbers_from=5))


def money(after: Counted, before: Counted) -> str:
    """The difference of money saved, by currency.

    >>> money(Counted(saved_nanos={"EUR": 5 * 10**9}), Counted(saved_nanos={"EUR": 7 * 10**9}))
    '−2.00 EUR'
    """
    found = []
    for currency in sorted(after.saved_nanos.keys() | before.saved_nanos.keys()):
        found.append(money_change(after.saved_nanos.get(currency, 0) - before.saved_nanos.get(currency, 0), currency))
    return ", ".join(found) or "0"


def hurt(after: Counted, before: Counted) -> str:
    """The difference of honest calls refused: by verdicts, and those that no alert explains.

    >>> hurt(Counted(good=2, after_alert=3), Counted(good=1))
    '+4'
    """
    return f"{after.good + after.after_alert - before.good - before.after_alert:+,}"


# --- one ---


def one(visit: Visit, wanted: str) -> None:
    """What a change comes to by detector, on the past and in shadow, and its next step."""
    try:
        with reading(visit.sources.engine()) as conn:
            change = rule_lab.of(conn, int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 else 0)
        if change.tenant != visit.tenant:
            raise ServiceError(f"There is no rule change {change.id} of this tenant.")
    except (ServiceError, Unavailable) as wrong:
        message(str(wrong))
        return
    heading(f"Change {change.id}", rule_lab.words_of(change.changes))
    st.html(
        facts(
            {
                "tried": f"by {change.who}, {day(change.at_ms)}: {change.why}",
                "state": f"{change.state}, by {change.state_who}, {day(change.state_at_ms)}" + (f": {change.state_why}" if change.state_why else ""),
                "in shadow": f"since {day(change.shadow_from_ms)}" if change.shadow_from_ms else "",
            }
        )
    )
    steps(visit, change)
    running(visit, ("shadow", f"{change.id}"))
    if (shadowed := rule_lab.result_of(change.shadowed)) is not None:
        result(f"In shadow, {day(shadowed.from_ms)} to {day(shadowed.to_ms)}", shadowed)
    if (tried := rule_lab.result_of(change.tried)) is not None:
        result(f"On the past, {day(tried.from_ms)} to {day(tried.to_ms)}", tried)


def steps(visit: Visit, change: RuleChange) -> None:
    """The buttons of the next steps, and of a new look at the shadow. Only a fraud lead sees the one that promotes."""
    if not visit.person.name:
        return
    in_shadow = change.shadow_from_ms and change.state in ("shadow", "asked") and visit.may("block")
    if in_shadow and st.button("Evaluate it on the calls since then", key="rf_rule_measure"):
        at, now_ms = visit.sources.installation, visit.now_ms
        jobs.start(("shadow", f"{change.id}"), lambda progress: rule_lab.measure(at, change.id, now_ms, progress))
    possible = [state for state in rule_lab.NEXT[change.state] if visit.may("approve" if state == "promoted" else "block")]
    if not possible:
        return
    with st.form("rf_rule_step", border=False):
        why = st.text_input("Reason", key="rf_rule_step_why", max_chars=500)
        with st.container(horizontal=True, gap="small"):
            pressed = [
                state for state in possible
                if st.form_submit_button("Back to shadow" if (change.state, state) == ("asked", "shadow") else STEPS[state],
                                         key=f"rf_rule_to_{state.replace(' ', '_')}")
            ]  # fmt: skip
    for state in pressed:
        right: Right = "approve" if state == "promoted" else "block"

        def do(conn: Connection, state: State = state) -> None:
            rule_lab.move(conn, change.id, state, visit.person.name, why, visit.now_ms)

        if act(visit, right, do, ("rules",)):
            st.rerun()


def result(name: str, found: Result) -> None:
    """Both policies by detector: those that reported anything."""
    heading(name, f"{found.records:,} records; nothing was ordered")
    rows: list[tuple[str | Safe, ...]] = []
    names = [*sorted(found.before.keys() | found.after.keys()), ""]
    for detector in names:
        sides = [side.get(detector, Counted()) if detector else backtest.total(side) for side in (found.before, found.after)]
        for policy, side in zip(("in force", "changed"), sides, strict=True):
            rows.append(
                (tag("b", "together") if not detector else detector_text(detector) if policy == "in force" else "", policy,
                 by_currency(side.saved_nanos, "0"), f"{side.alerts / found.days:,.1f}", f"{side.right:,} / {side.wrong:,}", f"{side.calls:,}",
                 f"{side.fraud:,}", f"{side.good:,}", f"{side.during_alert:,}", f"{side.after_alert:,}")
            )  # fmt: skip
    note = (
        "Calls refused = fraud and honest by verdicts, and without a verdict: those during the alert, and those after its last suspicious call. "
        "Count the last as honest. Money saved leaves out the calls that are honest by verdict."
    )
    st.html(tag("div", note, cls="rf-note"))
    head = ("detector", "policy", "money saved", "alerts per day", "alerts right / wrong", "calls refused", "fraud", "honest", "during its alert",
        "after its alert")
    st.html(table(head, rows, numbers_from=2))
