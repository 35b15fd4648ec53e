"""An operator's config file: checked as a whole, published in one transaction, and used by running parts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from ports import free_port
from typer.testing import CliRunner
from until import until

from books import audit, configs, lists, open_books, reading, tables, tenants
from core.decode import decode_tick
from core.record import TICK_KEY, Record
from core.topics import CALLS
from journal import open_journal
from ringfence.cli import app
from ringfence.ops.secrets import load_or_make
from ringfence.settings import Settings
from services import first_start
from services.errors import NoInstallation
from services.reading import warehouse
from switches.post import PostError, connect, post_records
from warehouse import WarehouseError

MINE = """
tenant: acme-tel
decks:
  basic: {file: decks/basic.csv, currency: EUR}
accounts:
  - name: bakery
    sell_deck: basic
    caps: {money_hour: 120.50, concurrent_calls: 30}
    unpriced_caps: {calls_hour: 20, minutes_hour: 60}
    first_seen_destination: yes
carriers:
  - {name: alpha}
trunks:
  - {name: bakery-pbx, account: bakery, dial_plan: at, sources: [198.51.100.7], max_call: 2h}
  - {name: out, carrier: alpha}
dial_plans:
  - {name: at, country_code: 43, international_prefix: 00, trunk_prefix: 0, emergency: [112, 122]}
policy: {unpriced_blocks: automatic, detectors: {burst: {half_life: 10m, account_floor: 60}}}
"""
DECK = "prefix,price_per_min,first_s,next_s\n43,{price},1,1\n"


def ask(home: Path, *arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, [*arguments, "--home", str(home)], env={"COLUMNS": "200"})
    assert result.exit_code == exit_code, result.output
    return result.output


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file with its deck."""
    (tmp_path / "mine" / "decks").mkdir(parents=True)
    (tmp_path / "mine" / "decks" / "basic.csv").write_text(DECK.format(price="0.06"))
    file = tmp_path / "mine" / "config.yaml"
    file.write_text(MINE)
    return file


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def stored(home: Path, version: int):
    engine = open_books(f"{home}/books.db")
    try:
        with reading(engine) as conn:
            return configs.load(conn, version)
    finally:
        engine.dispose()


def test_a_file_becomes_the_version_in_force_with_money_in_nanos_and_digits_as_written(mine: Path, home: Path):
    output = ask(home, "config", "publish", str(mine), "--why", "contract 2217", "--who", "ops")
    assert "+ account acme-tel/bakery" in output and "Version 1 is in force" in output
    config = stored(home, 1)
    assert config.accounts[0].caps.money_hour_nanos == 120_500_000_000 and config.accounts[0].first_seen_destination
    assert config.trunks[0].max_call_s == 7200 and config.policies["acme-tel"].detectors["burst"] == {"half_life_s": 600.0, "account_floor": 60.0}
    plan = config.dial_plans[0]
    assert (plan.international_prefix, plan.trunk_prefix, plan.emergency) == ("00", "0", ("112", "122"))
    assert "112" in config.protected_numbers, "a first publishing protects the emergency lines"
    engine = open_books(f"{home}/books.db")
    with reading(engine) as conn:
        (entry,) = audit.last(conn, verb="published a config version")
        assert (entry.who, entry.why, entry.subject) == ("ops", "contract 2217", "1")
    assert [trunk.name for trunk in config.trunks] == ["bakery-pbx", "out"]
    engine.dispose()


def test_publishing_the_same_file_again_changes_nothing(mine: Path, home: Path):
    ask(home, "config", "publish", str(mine), "--why", "first")
    assert "Nothing changed: version 1" in ask(home, "config", "publish", str(mine), "--why", "again")
    assert "It is version 1, in force now" in ask(home, "config", "check", str(mine))


def test_config_show_can_be_published(mine: Path, home: Path, tmp_path: Path):
    ask(home, "config", "publish", str(mine), "--why", "first")
    shown = tmp_path / "shown.yaml"
    shown.write_text(ask(home, "config", "show"))
    assert "Nothing changed" in ask(home, "config", "publish", str(shown), "--why", "again")
    ask(home, "config", "show", "--out", str(tmp_path / "taken"))
    assert (tmp_path / "taken" / "decks" / "basic.csv").read_bytes() == (mine.parent / "decks" / "basic.csv").read_bytes()
    elsewhere = tmp_path / "elsewhere"
    ask(elsewhere, "config", "publish", str(tmp_path / "taken" / "config.yaml"), "--why", "moved")
    assert stored(elsewhere, 1) == stored(home, 1)


def test_a_deck_is_stored_once_and_a_new_price_list_is_a_new_version_of_it(mine: Path, home: Path):
    ask(home, "config", "publish", str(mine), "--why", "first")
    mine.write_text(MINE.replace("10m", "20m"))
    assert "~ policy acme-tel: detectors" in ask(home, "config", "publish", str(mine), "--why", "slower")
    (mine.parent / "decks" / "basic.csv").write_text(DECK.format(price="0.07"))
    assert "~ deck acme-tel/basic: another price list" in ask(home, "config", "publish", str(mine), "--why", "dearer")
    engine = open_books(f"{home}/books.db")
    with reading(engine) as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(tables.deck_versions)).scalar() == 2
    engine.dispose()
    assert ask(home, "config", "show", "--list").count("\n") == 3
    assert "half_life: 10m" in ask(home, "config", "show", "--version", "1")


def test_a_part_that_is_gone_is_reported(mine: Path, home: Path):
    ask(home, "config", "publish", str(mine), "--why", "first")
    mine.write_text(MINE.replace("  - {name: out, carrier: alpha}\n", "").replace("- {name: alpha}", "- {name: beta}"))
    output = ask(home, "config", "publish", str(mine), "--why", "alpha left")
    assert "- carrier acme-tel/alpha" in output and "- trunk acme-tel/out" in output and "+ carrier acme-tel/beta" in output
    assert [carrier.name for carrier in stored(home, 2).carriers] == ["beta"]


@pytest.mark.parametrize(
    ("was", "wrong", "message"),
    [
        ("sell_deck: basic", "sell_deck: x", "accounts[0].sell_deck: no deck 'x'"),
        ("sell_deck: basic", "sel_deck: basic", "accounts[0].sel_deck: there is no such key; sell_deck?"),
        ("120.50", "a lot", "accounts[0].caps.money_hour: 'a lot' is not a decimal amount"),
        ("120.50", "-1", "accounts[0].caps.money_hour: must be >= 0"),
        ("calls_hour: 20", "calls_hour: -3", "accounts[0].unpriced_caps.calls_hour: must be >= 0"),
        ("minutes_hour: 60", "minutes_hour: 1h", "accounts[0].unpriced_caps.minutes_hour: '1h' is not a whole number"),
        ("minutes_hour: 60", "minutes_our: 60", "accounts[0].unpriced_caps.minutes_our: there is no such key; minutes_hour?"),
        ("unpriced_blocks: automatic", "unpriced_blocks: no", "policy.unpriced_blocks: 'no' is none of ask, automatic, never"),
        ("120.50", "0.0000000001", "more than 9 decimals"),
        ("concurrent_calls: 30", "concurrent_calls: 3.5", "accounts[0].caps.concurrent_calls: '3.5' is not a whole number"),
        ("first_seen_destination: yes", "first_seen_destination: perhaps", "'perhaps' is neither yes nor no"),
        ("max_call: 2h", "max_call: 7200", "trunks[0].max_call: '7200' is not a length of time"),
        ("account: bakery,", "account: brewery,", "trunks[0].account: no account 'brewery'"),
        ("carrier: alpha}", "carrier: omega}", "trunks[1].carrier: no carrier 'omega'"),
        ("dial_plan: at", "dial_plan: de", "trunks[0].dial_plan: no dial plan 'de'"),
        ("[198.51.100.7]", "[198.51.100.7/24]", "trunks[0].sources[0]: 198.51.100.7/24 has host bits set"),
        ("carrier: alpha}", "sources: [198.51.100.7]}", "trunks[1].sources: 198.51.100.7 is trunk bakery-pbx's already"),
        ("- {name: alpha}", "- {name: alpha}\n  - {name: alpha}", "carriers[1].name: 'alpha' is in the list already"),
        ("name: bakery\n", "name: bak|ery\n", "accounts[0].name: 'bak|ery' is not a name"),
        ("country_code: 43", "country_code: AT", "dial_plans[0].country_code: country code 'AT'"),
        ("currency: EUR", "currency: euro", "decks.basic.currency: 'euro' is not a code"),
        ("basic.csv", "none.csv", "none.csv: No such file or directory"),
        ("half_life: 10m", "half_life: 0s", "policy.detectors.burst.half_life: must be > 0"),
        ("half_life: 10m", "half_life: 10m, half_life: 5m", "the key half_life comes twice"),
        ("account_floor: 60", "account_floor: nan", "policy.detectors.burst.account_floor: 'nan' is not a number"),
        ("unpriced_blocks: automatic", "units: {IDR: 0}", "policy.units.IDR: must be > 0, is 0"),
        ("max_call: 2h", "hung_ends: never", "trunks[0].hung_ends: 'never' is none of"),
        ("tenant: acme-tel", "tenant: ''", "tenant: '' is no tenant's name"),
        ("tenant: acme-tel", "", "tenant: is missing"),
    ],
)
def test_an_error_names_its_place_and_nothing_is_written(mine: Path, home: Path, was: str, wrong: str, message: str):
    assert was in MINE
    mine.write_text(MINE.replace(was, wrong))
    assert message in ask(home, "config", "check", str(mine), exit_code=1)
    assert message in ask(home, "config", "publish", str(mine), "--why", "w", exit_code=1)
    assert not home.exists()


def test_a_deck_with_a_bad_line_names_the_file_and_the_line(mine: Path, home: Path):
    (mine.parent / "decks" / "basic.csv").write_text("prefix,price_per_min\n43,0.01\n4x,1\n")
    assert "decks.basic (decks/basic.csv): line 3: prefix '4x'" in ask(home, "config", "check", str(mine), exit_code=1)


def test_a_protected_number_is_in_the_next_version(mine: Path, home: Path):
    ask(home, "config", "publish", str(mine), "--why", "first")
    ask(home, "protect", "--number", "4314040", "--why", "hospital")
    assert "protected numbers" in ask(home, "config", "publish", str(mine), "--why", "with the hospital")
    assert "4314040" in stored(home, 2).protected_numbers


def test_a_number_removed_from_the_protected_list_stays_removed(mine: Path, home: Path):
    ask(home, "config", "publish", str(mine), "--why", "first")
    ask(home, "protect", "--remove", "--number", "116123", "--why", "ours to decide")
    mine.write_text(MINE.replace("10m", "20m"))
    ask(home, "config", "publish", str(mine), "--why", "slower")
    engine = open_books(f"{home}/books.db")
    with reading(engine) as conn:
        assert "116123" not in lists.protected(conn).numbers
    engine.dispose()


# --- credentials ---


def test_a_token_is_shown_once_and_can_be_ended(mine: Path, home: Path):
    from books import credentials

    ask(home, "config", "publish", str(mine), "--why", "first")
    result = CliRunner().invoke(app, ["credential", "add", "--switch", "k2", "--source", "192.0.2.0/24", "--home", str(home)])
    token = result.stdout.strip()
    assert len(token) > 40 and "acme-tel" in result.stderr
    engine = open_books(f"{home}/books.db")
    with reading(engine) as conn:
        found = credentials.find(conn, token)
    assert found is not None and found.tenants == ("acme-tel",) and found.allows("192.0.2.9") and not found.allows("127.0.0.1")
    listed = ask(home, "credential", "list")
    assert token not in listed and "from 192.0.2.0/24" in listed
    ask(home, "credential", "revoke", listed.split()[0], "--why", "given away")
    with reading(engine) as conn:
        assert credentials.find(conn, token) is None
        assert {"credential added", "credential revoked"} <= {entry.verb for entry in audit.last(conn)}
    engine.dispose()
    assert "There is no live credential" in ask(home, "credential", "revoke", listed.split()[0], "--why", "again", exit_code=1)


def test_the_switch_of_this_machine_posts_for_every_tenant(home: Path):
    from books import credentials, writing

    settings = Settings(home=home, tenant="t1", countries="AT")
    secrets = load_or_make(settings.state_dir)
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), 1)
    engine = open_books(settings.books_dsn)
    with writing(engine) as conn:
        tenants.add(conn, "zz", 2)
    first_start.connect_switch(settings.installation, secrets, "k1", "kamailio", "http://127.0.0.1:1/RPC", None, 3)
    with reading(engine) as conn:
        found = credentials.find(conn, secrets.collector_token)
    engine.dispose()
    assert found is not None and found.tenants == ("t1", "zz")


# --- what runs takes it ---


@pytest.mark.slow
def test_the_next_call_after_a_publishing_is_priced_by_the_new_deck(mine: Path, home: Path):
    settings = Settings(
        home=home, tenant="acme-tel", collector_port=free_port(), warehouse_port=free_port(), snapshot_s=1.0, _env_file=None
    )  # type: ignore[call-arg]
    ask(home, "config", "publish", str(mine), "--why", "first")
    token = CliRunner().invoke(app, ["credential", "add", "--switch", "k2", "--home", str(home)]).stdout.strip()
    parts = []
    try:
        for name in ("collector", "judge", "store"):
            with (settings.run_dir / f"{name}.log").open("ab") as log:
                command = [sys.executable, "-m", "ringfence", "flow", name]
                parts.append(subprocess.Popen(command, env=os.environ | settings.environment(), stdout=log, stderr=log))
        client = connect(settings.collector_url, token)

        def call(number: int) -> bool:
            """A minute to Austria."""
            now_ms = round(time.time() * 1000)
            record = Record(
                v=2, event="stop", switch="k2", boot_id="b", seq=number, call_id=f"call-{number}", dialog_id=str(number), at_ms=now_ms,
                account="bakery", ingress_trunk="bakery-pbx", b_raw="06641234567", answer_ms=now_ms - 60_000, end_ms=now_ms,
            )  # fmt: skip
            try:
                return post_records(client, [msgspec.json.encode(record)], complete_to_ms=None) == 1
            except PostError:
                return False

        def rows() -> list[tuple[str, int, str, int]]:
            try:
                with warehouse(settings.installation) as asked:
                    sql = "SELECT call_id, config_version, b_number, toInt64(sell * 1000000000) FROM priced_calls ORDER BY call_id"
                    return [tuple(row) for row in asked.query(sql).result_rows]
            except (WarehouseError, NoInstallation):  # not there yet
                return []

        def ticked(version: int) -> bool:
            journal = open_journal(settings.journal_dsn)
            last = [list(journal.reader(CALLS, p, 0).read())[-1:] for p in range(journal.partitions(CALLS))]
            return all(m.key == TICK_KEY and decode_tick(m.value).config_version == version for found in last for m in found)

        until(lambda: call(1), 60, "a collector that takes records")
        until(lambda: len(rows()) == 1, 60, "the first row")
        (mine.parent / "decks" / "basic.csv").write_text(DECK.format(price="0.09"))
        ask(home, "config", "publish", str(mine), "--why", "dearer")
        until(lambda: ticked(2), 60, "a tick of the new version in every partition")
        assert call(2)
        until(lambda: len(rows()) == 2, 30, "the second row")
        price = [(version, Decimal(nanos) / 10**9) for _, version, _, nanos in rows()]
        assert price == [(1, Decimal("0.06")), (2, Decimal("0.09"))]
        assert {number for _, _, number, _ in rows()} == {"436641234567"}
    finally:
        for part in parts:
            part.terminate()
        for part in parts:
            part.wait(20)


def test_the_file_on_the_page_is_right(tmp_path: Path):
    page = (Path(__file__).parents[2] / "docs" / "config.md").read_text()
    shown = page.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "decks").mkdir()
    for deck in ("retail", "alpha"):
        (tmp_path / "decks" / f"{deck}.csv").write_text(DECK.format(price="0.06"))
    (tmp_path / "config.yaml").write_text(shown)
    assert "is valid" in ask(tmp_path / "home", "config", "check", str(tmp_path / "config.yaml"))
