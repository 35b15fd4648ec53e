"""A back-test: the calls of the past under the policy in force and under a changed one. Nothing is written, and nothing is ordered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import polars as pl

from books import Connection, alerts, configs, models, open_books, verdicts
from core.alert_text import money_text
from core.parts import Slot
from core.policy import Policy
from detectors.registry import faults as parameter_faults
from flows import backtest as flow
from flows.backtest import Counted, Result, Verdict
from flows.replay import self_registering
from rating.contracts import Terms
from services import config_file, files, in_force
from services import reading as read
from services.alert_desk import key_to_block
from services.config_file import Wrong
from services.errors import BadArgument, UnknownName
from services.installation import Installation, books, tenant_of
from services.replay import mapping_of
from services.shipped_models import shipped
from switches.files.records import read_rows
from warehouse import Warehouse, ask, history

WARM_UP_MS = 86_400_000
"""How long before the period the detectors begin to learn what is normal: those of a live installation have always been there."""

Progress = Callable[[int, int], None]
"""Records done, and records in all; 0 in all: they are still being read."""


class BacktestRequest(NamedTuple):
    """A period and a tenant. `changes`: keys of its policy as in the config file, {} = only the policy in force is tried."""

    from_ms: int
    to_ms: int
    tenant: str
    changes: Mapping[str, Any]
    warm_up_ms: int = WARM_UP_MS


def wanted(
    conn: Connection, from_ms: int, to_ms: int, tenant: str = "", changes: Mapping[str, Any] | None = None, warm_up_ms: int = WARM_UP_MS
) -> BacktestRequest:
    """Raises `BadArgument` with every fault of the changes, each with its path in the policy."""
    if from_ms >= to_ms:
        raise BadArgument("--to must be after --from: calls are taken from --from to before --to")
    tenant = tenant_of(conn, tenant)
    version = configs.latest(conn)
    if not version:
        raise UnknownName("There is no config version yet: `ringfence config publish` makes one.")
    changed(policy_in_force(conn, tenant), changes or {})
    return BacktestRequest(from_ms, to_ms, tenant, changes or {}, warm_up_ms)


def policy_in_force(conn: Connection, tenant: str) -> Policy:
    """The policy of a tenant in the newest config version."""
    hashes = configs.parts(conn, configs.latest(conn))
    slots = [slot for slot in (Slot(tenant, "policy"), Slot("", "policy")) if slot in hashes]
    found: dict[Slot, Policy] = configs.decoded(conn, {slot: hashes[slot] for slot in slots})
    return next((found[slot] for slot in slots), Policy())


def changed(policy: Policy, changes: Mapping[str, Any]) -> Policy:
    """A policy with some keys changed. Raises `BadArgument` with every fault and its path.

    >>> changed(Policy(), {"off": ["fass"]})
    Traceback (most recent call last):
    ...
    services.errors.BadArgument: policy.off[0]: there is no detector 'fass'; fas?
    """
    try:
        made = config_file.policy_with(policy, changes)
        wrong = parameter_faults(made)
    except Wrong as error:
        wrong = error.faults
    if wrong:
        raise BadArgument("\n".join(wrong))
    return made


def changes_of(file: Path | None, off: Sequence[str] = (), settings: Sequence[str] = ()) -> dict[str, Any]:
    """The changes that a file, and `PATH=VALUE` texts, ask for. `off`: detectors that report nothing.

    >>> changes_of(None, ["fas"], ["detectors.burst.account_floor=60", "block_loss=2"])
    {'detectors': {'burst': {'account_floor': '60'}}, 'block_loss': '2', 'off': ['fas']}
    """
    found: dict[str, Any] = {}
    if file is not None:
        try:
            found = config_file.read_changes(files.read(file, files.CONFIG_BYTES).decode("utf-8-sig"))
        except Wrong as error:
            raise BadArgument("\n".join(f"{file}: {fault}" for fault in error.faults)) from None
        except UnicodeDecodeError as wrong:
            raise BadArgument(f"{file}: byte {wrong.start} is not UTF-8") from None
        except OSError as error:
            raise BadArgument(f"{file}: {error.strerror or error}") from None
    for setting in settings:
        path, sign, value = setting.partition("=")
        *way, last = path.removeprefix("policy.").split(".")
        if not (sign and last):
            raise BadArgument(f"--set {setting}: write PATH=VALUE, such as detectors.irsf_range.least_probability=0.7")
        at = found
        for name in way:
            at = at.setdefault(name, {})
            if not isinstance(at, dict):
                raise BadArgument(f"--set {setting}: {name} has no keys of its own")
        at[last] = value
    if off:
        found["off"] = [*found.get("off", ()), *off]
    return found


def run(installation: Installation, what: BacktestRequest, progress: Progress = lambda done, total: None) -> Result:
    """Back-tests the stored records of a period, priced by the config in force. Raises `ServiceError`."""
    engine = open_books(installation.books_dsn)
    try:
        with books(installation) as conn:
            version = configs.latest(conn)
            known = verdicts_of(conn, what.tenant, what.from_ms, what.to_ms)
            scorers = {**shipped(), **models.contents(conn)}
        terms = in_force.from_books(engine)(version)
        terms.models = scorers  # also those that only the changed policy names
    finally:
        engine.dispose()
    with read.warehouse(installation) as client:
        return _of_warehouse(client, terms, what, known, progress)


def _of_warehouse(client: Warehouse, terms: Terms, what: BacktestRequest, known: Sequence[Verdict], progress: Progress) -> Result:
    spans = history.spans(ask(client, history.bands(what.from_ms - what.warm_up_ms, what.to_ms, what.tenant)))
    total = sum(span.records for span in spans)

    def frames() -> Iterator[pl.DataFrame]:
        for span in spans:
            yield history.records(client, span, what.tenant)

    after = _after(terms.policy_of(what.tenant), what)
    return flow.run(flow.of_history(frames()), terms, after, what.from_ms, what.to_ms, known, lambda done: progress(done, total))


def run_file(
    calls: Path, mapping_file: Path, changes: Mapping[str, Any], from_ms: int | None = None, to_ms: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Result:  # fmt: skip
    """Back-tests a file as `ringfence replay` reads it: accounts register themselves, its own amounts are the money. The period is that of the
    file, without its first day where it is longer than two: that teaches the detectors what is normal. Raises `services.replay.WRONG`."""
    files.checked(calls)
    mapping = mapping_of(mapping_file)
    terms = self_registering(None)
    terms.models = shipped()
    after = changed(terms.policy_of(""), changes)
    rows = list(read_rows(calls, mapping))
    times = [row.record.at_ms for row in rows if row.record]
    if not times:
        raise BadArgument(f"{calls}: no row of it is a call")
    begin_ms, end_ms = min(times), max(times) + 1
    begin_ms += WARM_UP_MS * (end_ms - begin_ms > 2 * WARM_UP_MS)
    tenants = {row.tenant for row in rows if row.record}
    policies = dict.fromkeys(tenants, after) if changes else {}
    return flow.run(
        flow.of_file(rows), terms, policies, from_ms or begin_ms, to_ms or end_ms, (), lambda done: progress(done, len(rows)),
        unique_ids=mapping.call_ids == "unique",
    )  # fmt: skip


def _after(policy: Policy, what: BacktestRequest) -> dict[str, Policy]:
    return {what.tenant: changed(policy, what.changes)} if what.changes else {}


def verdicts_of(conn: Connection, tenant: str, from_ms: int, to_ms: int) -> list[Verdict]:
    """What people said of alerts whose calls lie in a period."""
    found = []
    for one in verdicts.every(conn, tenant):
        alert = alerts.find(conn, one.finding_id)
        if alert is not None and alert.first_ms < to_ms and alert.last_ms >= from_ms - flow.ORDER_MS and one.verdict != "unsure":
            found.append(Verdict(one.tenant, one.subject, key_to_block(alert), alert.first_ms, alert.last_ms, one.verdict))
    return found


# --- the result in words ---


def lines_of(result: Result) -> list[str]:
    """The result for a person: each detector whose figures differ, or that reported anything; the policy in force beside the changed one."""
    found = [f"{result.records:,} records in {result.days:,.1f} days. Nothing was ordered."]
    changed_too = result.after is not result.before
    for name in sorted(result.before.keys() | result.after.keys()):
        before, after = result.before.get(name, Counted()), result.after.get(name, Counted())
        found.append(f"{name}" + ("" if not changed_too or before != after else ": the same under both"))
        found.append(f"  in force  {text_of(before, result.days)}")
        if changed_too and before != after:
            found.append(f"  changed   {text_of(after, result.days)}")
    before, after = total(result.before), total(result.after)
    found.append("all detectors")
    found.append(f"  in force  {text_of(before, result.days)}")
    if changed_too:
        found.append(f"  changed   {text_of(after, result.days)}")
    return found


def total(of: Mapping[str, Counted]) -> Counted:
    """The sum over detectors."""
    found = Counted(saved_nanos={})
    for one in of.values():
        for name in Counted.__struct_fields__:
            if name != "saved_nanos":
                setattr(found, name, getattr(found, name) + getattr(one, name))
        for currency, nanos in one.saved_nanos.items():
            found.saved_nanos[currency] = found.saved_nanos.get(currency, 0) + nanos
    return found


def text_of(one: Counted, days: float) -> str:
    """One line: money saved, alerts per day, calls refused and what is known of them.

    >>> text_of(Counted(alerts=3, right=1, calls=10, fraud=6, good=1, during_alert=2, after_alert=1, saved_nanos={"EUR": 12_500_000_000}), 2.0)
    'saves 12.50 EUR; 1.5 alerts per day (1 confirmed, 0 wrong); would refuse 10 calls: 6 fraud, 1 good, 2 while its alert went on, 1 after it'
    """
    money = ", ".join(money_text(nanos, currency) for currency, nanos in sorted(one.saved_nanos.items())) or "nothing"
    known = f" ({one.right:,} confirmed, {one.wrong:,} wrong)" if one.right or one.wrong else ""
    parts = [(one.fraud, "fraud"), (one.good, "good"), (one.during_alert, "while its alert went on"), (one.after_alert, "after it")]
    split = ", ".join(f"{n:,} {what}" for n, what in parts if n)
    refused = f"would refuse {one.calls:,} call{'s' * (one.calls != 1)}" + (f": {split}" if split else "")
    return f"saves {money}; {one.alerts / days:,.1f} alerts per day{known}; {refused}"


def as_json(result: Result) -> bytes:
    """The result for programs, and for the books."""
    return msgspec.json.encode(result)
