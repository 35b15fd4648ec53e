"""`ringfence backtest` over stored records, and over a file."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from books import alerts, audit, configs, tenants
from books.rule_changes import State
from core.config import Account, Config, Trunk
from core.message import Message
from core.orders import Finding
from core.policy import Policy
from core.record import Record, journal_key
from flows.step import State as JudgeState
from flows.step import judge
from rating.contracts import compile_contracts
from ringfence.cli import app
from services import backtest as service
from services import rule_lab, verdicts
from services.errors import ServiceError
from services.installation import Installation, books
from services.shipped_models import shipped
from warehouse import insert, open_warehouse

NOON = 1_764_072_000_000  # 2025-11-25 12:00:00 UTC
MINUTE, HOUR = 60_000, 3_600_000


def pumped() -> list[Record]:
    """Half an hour of calls of one caller into a range of international networks."""
    found = []
    for n in range(40):
        answered_ms = NOON + n * 45_000
        base = {"v": 2, "switch": "k1", "account": "acme", "ingress_trunk": "in", "a_raw": "43123456", "b_raw": f"8821312{n:04}"}
        base |= {"dialog_id": f"d{n}", "call_id": f"c{n}", "setup_ms": answered_ms - 5_000, "answer_ms": answered_ms}
        for event, at_ms in (("answer", answered_ms), ("stop", answered_ms + 240_000)):
            more = {"sell_amount": "12.00", "currency": "EUR", "end_ms": at_ms} if event == "stop" else {}
            found.append(msgspec.convert({**base, **more, "event": event, "at_ms": at_ms}, Record))
    return sorted(found, key=lambda record: record.at_ms)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation that judged and stored it, with an alert that a person has judged."""
    from books import migrate
    from warehouse import migrate as migrate_warehouse

    root = tmp_path_factory.mktemp("home")
    at = Installation.embedded(root)
    migrate(at.books_dsn)
    config = Config(accounts=(Account(tenant="t1", name="acme"),), trunks=(Trunk(tenant="t1", name="in"),))
    with books(at) as conn:
        tenants.add(conn, "t1", NOON)
        configs.publish(conn, config, "eve", "test", NOON)
    log = [Message(0, n, one.at_ms, journal_key("t1", "acme", "in"), msgspec.json.encode(one)) for n, one in enumerate(pumped())]
    outcome = judge(JudgeState(b"s" * 16), log, lambda _: compile_contracts(msgspec.structs.replace(config, version=1), {}))
    client = open_warehouse(at.warehouse_dsn)
    migrate_warehouse(client)
    insert(client, "records", outcome.table("records").to_arrow())
    client.close()
    newest: dict[str, Finding] = {one.detector: one for one in outcome.findings}
    with books(at) as conn:
        alerts.upsert(conn, newest["irsf_range"], NOON)
        verdicts.give(conn, newest["irsf_range"].finding_id, "fraud", "anna", "confirmed by the customer", NOON)
    return root


def backtest(*arguments: str, home: Path | None = None, exit_code: int = 0) -> str:
    options = ["--home", str(home)] if home else []
    result = CliRunner().invoke(app, ["backtest", *arguments, *options])
    assert result.exit_code == exit_code, result.output
    return result.stdout if exit_code == 0 else result.output


PERIOD = ("--from", "2025-11-25", "--to", "2025-11-26")


def test_a_changed_policy_is_beside_the_one_in_force(home: Path, tmp_path: Path):
    (tmp_path / "policy.yaml").write_text("policy:\n  off: [irsf_range]\n  order_score: 100000\n")
    found = json.loads(backtest(*PERIOD, "--policy", str(tmp_path / "policy.yaml"), "--json", home=home))
    assert found["records"] == 80
    range_ = found["before"]["irsf_range"]
    assert (range_["alerts"], range_["right"], range_["wrong"]) == (1, 1, 0)
    assert "irsf_range" not in found["after"]
    refused = sum(one["calls"] for one in found["before"].values())
    assert 0 < sum(one["fraud"] for one in found["before"].values()) <= refused  # of which a verdict says what they were
    assert sum(one["calls"] for one in found["after"].values()) == 0


def test_a_scorer_that_is_not_in_force_can_be_tried(home: Path):
    [sha256] = shipped()
    changes = ("--set", f"detectors.learned.model={sha256}", "--set", "detectors.learned.least_probability=0.01")
    found = json.loads(backtest(*PERIOD, *changes, "--json", home=home))
    assert "learned" not in found["before"] and found["after"]["learned"]["alerts"] == 1
    assert found["after"]["learned"]["calls"] == 0  # it only warns


def test_the_result_is_told_in_words(home: Path):
    printed = backtest(*PERIOD, "--off", "irsf_range", home=home)
    assert "80 records in 1.0 days. Nothing was ordered." in printed
    assert "irsf_range\n  in force  saves" in printed and "  changed   saves nothing; 0.0 alerts per day; would refuse 0 calls" in printed


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("--off", "irsf_rang"), "policy.off[0]: there is no detector 'irsf_rang'; irsf_range?"),
        (("--set", "detectors.irsf_range.least_probability=high"), "policy.detectors.irsf_range.least_probability: 'high' is not a number"),
        (("--set", "detectors.irsf_range.least_probabilty=0.5"), "policy.detectors.irsf_range.least_probabilty: there is no such key"),
        (("--set", "detectors.nobody.x=1"), "policy.detectors.nobody: there is no such key"),
        (("--set", "block_loss"), "write PATH=VALUE"),
    ],
)
def test_a_wrong_rule_or_threshold_is_named_with_its_path(home: Path, arguments: tuple[str, ...], fault: str):
    assert fault in " ".join(backtest(*PERIOD, *arguments, home=home, exit_code=2).replace("│", " ").split())


def test_a_period_without_calls_is_no_error(home: Path):
    assert "0 records" in backtest("--from", "2024-01-01", "--to", "2024-01-02", home=home)


def test_a_file_needs_no_installation(tmp_path: Path):
    rows = ["call_id,account,b_number,a_number,answer,duration_s,sell_amount"]
    rows += [f"c{n},acme,+8821312{n:04},+43123456,{(NOON + n * 45_000) // 1000},240,12.00" for n in range(40)]
    (tmp_path / "calls.csv").write_text("\n".join(rows) + "\n")
    columns = "{" + ", ".join(f"{name}: {name}" for name in rows[0].split(",")) + "}"
    (tmp_path / "mapping.yaml").write_text(f"time_format: epoch_s\ncurrency: EUR\ncolumns: {columns}\n")
    printed = backtest("--file", str(tmp_path / "calls.csv"), "--mapping", str(tmp_path / "mapping.yaml"), "--off", "burst")
    assert "40 records" in printed and "burst\n  in force" in printed


# --- the rule lab ---


def tried(home: Path) -> int:
    at = Installation.embedded(home)
    with books(at) as conn:
        what = service.wanted(conn, NOON - HOUR, NOON + 2 * HOUR, "t1", {"off": ["irsf_block"], "block_loss": "0.75"})
    return rule_lab.try_out(at, what, "anna", "too many alerts", NOON).id


def move(home: Path, number: int, state: State, who: str) -> str:
    """What is wrong with a step, "" = it was done."""
    try:
        with books(Installation.embedded(home)) as conn:
            rule_lab.move(conn, number, state, who, "agreed", NOON + HOUR)
    except ServiceError as wrong:
        return str(wrong)
    return ""


def test_a_change_goes_into_force_by_another_person_alone(home: Path):
    number = tried(home)
    with books(Installation.embedded(home)) as conn:
        version = configs.latest(conn)
    assert move(home, number, "promoted", "ben") == f"Change {number} is tried: it cannot become promoted."
    assert move(home, number, "shadow", "anna") == move(home, number, "asked", "carl") == ""
    for who in ("anna", "carl"):
        assert "another person must look at it" in move(home, number, "promoted", who)
    with books(Installation.embedded(home)) as conn:
        assert service.policy_in_force(conn, "t1") == Policy() and configs.latest(conn) == version
    assert move(home, number, "promoted", "ben") == ""
    with books(Installation.embedded(home)) as conn:
        assert service.policy_in_force(conn, "t1") == Policy(off=("irsf_block",), block_loss=0.75) and configs.latest(conn) == version + 1
        steps = [(line.verb, line.who) for line in audit.last(conn) if line.subject == f"t1 {number}"]
    assert steps == [
        ("rule change: promoted", "ben"), ("rule change: asked", "carl"), ("rule change: shadow", "anna"), ("tried a rule change", "anna"),
    ]  # fmt: skip
    assert "cannot become" in move(home, number, "thrown away", "ben")


def test_a_change_in_shadow_is_judged_on_what_came_in_since(home: Path):
    number = tried(home)
    move(home, number, "shadow", "anna")
    change = rule_lab.measure(Installation.embedded(home), number, NOON + 2 * HOUR)
    shadowed, past = (rule_lab.result_of(text) for text in (change.shadowed, change.tried))
    assert past is not None and past.records == 80
    assert shadowed is not None and (shadowed.from_ms, shadowed.records) == (NOON + HOUR, 0)  # the attack was over by then
    assert move(home, number, "thrown away", "carl") == ""
    with pytest.raises(ServiceError, match="is not in shadow"):
        rule_lab.measure(Installation.embedded(home), tried(home), NOON)
