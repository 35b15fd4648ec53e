"""The commands, on books of their own; the switch is the loopback one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from books import audit, configs, leases, lists, open_books, orders, reading, suppressions, switches, tenants, writing
from books.engine import Engine
from core.decide import Decision
from core.orders import BlockOrder, Key
from ringfence.cli import app
from ringfence.ops.secrets import load_or_make
from ringfence.settings import Settings
from services import first_start
from switches.loopback import Loopback, Served

NOW_MS = 1_700_000_000_000


@dataclass
class House:
    """An installation with one switch, which enforces."""

    home: Path
    engine: Engine
    switch: Loopback

    books_dsn: str

    def run(self, *arguments: str, exit_code: int = 0) -> str:
        result = CliRunner().invoke(app, [*arguments, "--home", str(self.home)], env={"RINGFENCE_BOOKS": self.books_dsn})
        assert result.exit_code == exit_code, result.output
        return result.output


@pytest.fixture
def house(tmp_path: Path, books_dsn: str) -> Iterator[House]:
    settings = Settings(home=tmp_path, books=books_dsn, tenant="t1", countries="AT")
    secrets = load_or_make(settings.state_dir)
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), NOW_MS)
    table = Loopback()
    served: Served = table.serve(0, secrets.control_token)
    first_start.connect_switch(settings.installation, secrets, "k1", "loopback", served.url, True, NOW_MS)
    engine = open_books(settings.books_dsn)
    yield House(tmp_path, engine, table, books_dsn)
    engine.dispose()
    served.close()


def test_a_manual_block_is_in_the_books(house: House):
    output = house.run("block", "--account", "local", "--b-range", "88213", "--ttl", "1h", "--why", "pumped", "--who", "ops")
    assert "t1/account:local/b:88213 is blocked for 1h (standing" in output
    with reading(house.engine) as conn:
        (stored,) = orders.select(conn, statuses=("standing",))
    assert (stored.order.by, stored.order.reason, stored.automatic) == ("ops", "pumped", False)
    assert stored.order.expires_at_ms - stored.order.created_at_ms == 3_600_000


def test_a_block_over_an_emergency_number_is_refused_for_people_too(house: House):
    output = house.run("block", "--account", "local", "--b-range", "11", "--why", "typo", exit_code=1)
    assert "overlaps the protected number 112" in output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--account", "local", "--trunk", "loopback", "--why", "w"], "one of the two"),
        (["--why", "w"], "one of the two"),
        (["--account", "local", "--ttl", "1 fortnight", "--why", "w"], "not a length of time"),
        (["--account", "local"], "--why"),
    ],
)
def test_an_ambiguous_block_is_refused(house: House, arguments: list[str], why: str):
    output = house.run("block", *arguments, exit_code=2)
    assert why in " ".join(output.replace("│", " ").split())


def test_an_invalid_number_is_refused_with_the_reason(house: House):
    for wrong in ("88%", "0664", "alice", "", "+", "1234567890123456"):
        if wrong:
            assert "means no range" in house.run("block", "--account", "local", "--b-range", wrong, "--why", "w", exit_code=1)
    for wrong in ("01 50500 88", "0043", "alice", "+", "12345678901234567", "43664111222.0"):
        assert "means no number" in house.run("block", "--account", "local", "--a-number", wrong, "--why", "w", exit_code=1)
    with reading(house.engine) as conn:
        assert orders.select(conn) == []


@pytest.mark.parametrize(
    ("typed", "b_range"), [("+88213", "88213"), ("0088213", "88213"), ("+88 2-13", "88213"), ("00 43 (0)664", "43664"), ("88213", "88213")]
)
def test_a_range_is_interpreted_as_in_a_call_and_shown(house: House, typed: str, b_range: str):
    assert f"/b:{b_range} is blocked" in house.run("block", "--account", "local", "--b-range", typed, "--why", "w")
    house.run("unblock", "--account", "local", "--b-range", typed, "--why", "w")
    with reading(house.engine) as conn:
        assert {(stored.order.key.b_range, stored.status) for stored in orders.select(conn)} == {(b_range, "lifted")}


@pytest.mark.parametrize(
    ("typed", "listed", "expected"),
    [
        ("0043 1 505-00-99", "4315050099", "number 4315050099 (read as +4315050099) is protected"),
        ("+43(0)15050099", "4315050099", "(read as +4315050099)"),
        ("*31#0043 15050099", "4315050099", "(read as +4315050099)"),
        ("4315050099", "4315050099", "number 4315050099 is protected"),
        ("+116 123", "116123", "is protected"),
        ("000", "000", "number 000 is protected"),
        ("0112", "0112", "number 0112 is protected"),
    ],
)
def test_a_protected_number_is_interpreted_as_in_a_call_and_shown(house: House, typed: str, listed: str, expected: str):
    assert expected in house.run("protect", "--number", typed, "--why", "w")
    with reading(house.engine) as conn:
        assert [row.value for row in lists.every(conn, "protected") if row.why == "w"] == [listed]
    house.run("protect", "--remove", "--number", typed, "--why", "w")


def test_a_number_that_protects_nothing_is_refused(house: House):
    for wrong in ("01 50500 88", "0043", "alice", "004312", "+", "12345678901234567"):
        assert "means no number" in house.run("protect", "--number", wrong, "--why", "w", exit_code=1)


def test_unblock_lifts_the_key_and_suppresses_it(house: House):
    house.run("block", "--account", "local", "--b-range", "88213", "--why", "pumped")
    output = house.run("unblock", "--account", "local", "--b-range", "88213", "--why", "theirs", "--who", "ops")
    assert "1 order lifted" in output and "for 24h" in output
    with reading(house.engine) as conn:
        assert [stored.status for stored in orders.select(conn)] == ["lifted"]
        assert [s.why for s in suppressions.live(conn, NOW_MS)] == ["theirs"]
        assert "lifted" in [entry.verb for entry in audit.last(conn)]


def test_unblock_all_holds_the_switch_with_all_parts_dead(house: House):
    assert not house.switch.held
    assert "held: all blocks are off" in house.run("unblock", "--all", "--why", "wrong calls refused")
    assert house.switch.held
    with reading(house.engine) as conn:
        assert switches.holds(conn)["k1"].why == "wrong calls refused"
    assert "blocks act again" in house.run("unblock", "--clear-hold", "--why", "mended")
    assert not house.switch.held


def test_a_switch_that_does_not_answer_is_reported(house: House):
    house.switch.trouble = "close"
    output = house.run("unblock", "--all", "--why", "w", exit_code=1)
    assert "k1:" in output and "held: all blocks are off" not in output


def test_the_first_start_makes_an_installation_once(house: House):
    settings = Settings(home=house.home, books=house.books_dsn, tenant="t1")
    assert first_start.open_and_publish(settings.installation, first_start.starter("other"), NOW_MS) == 1, "a second start changes nothing"
    with reading(house.engine) as conn:
        config = configs.load(conn, 1)
        assert "112" in lists.protected(conn).numbers
    assert [a.name for a in config.accounts] == ["local"]
    assert "112" in config.protected_numbers
    assert config.decks.keys() == {"t1/sell-business", "t1/buy-alpha"}


def test_a_new_switch_is_in_shadow(house: House):
    settings = Settings(home=house.home, books=house.books_dsn)
    first_start.connect_switch(
        settings, load_or_make(settings.state_dir), "k2", "kamailio", "http://127.0.0.1:1/RPC", None, NOW_MS
    )
    with reading(house.engine) as conn:
        assert switches.enforcing(conn, "k1", "t1") and not switches.enforcing(conn, "k2", "t1")


def test_a_switch_on_another_machine_is_added_in_shadow(house: House, tmp_path: Path):
    token = tmp_path / "k2.token"
    token.write_text("a-long-enough-control-token\n")
    arguments = ("switch", "add", "k2", "--control-token-file", str(token), "--why", "Vienna", "--control-url")
    assert "k2 takes orders of tenant t1 at http://192.0.2.1:5090/RPC, in shadow" in house.run(*arguments, "http://192.0.2.1:5090/RPC")
    with reading(house.engine) as conn:
        named = {one.name: one for one in switches.every(conn)}
        assert named["k2"].control_token == "a-long-enough-control-token" and switches.tenants_of(conn, "k2") == {"t1": False}
        assert audit.last(conn, verb="switch named")[0].why == "Vienna"
    assert "no contact yet" in house.run("switch", "list")
    assert "is not http://ADDRESS:PORT/RPC" in " ".join(house.run(*arguments, "192.0.2.1", exit_code=2).replace("│", " ").split())
    token.write_text("short")
    assert "can be guessed" in " ".join(house.run(*arguments, "http://192.0.2.1:1/RPC", exit_code=2).replace("│", " ").split())


def test_a_waiting_order_is_approved_or_denied_by_a_person(house: House):
    with writing(house.engine) as conn:
        for number in ("1", "2"):
            key = Key(tenant="t1", account="local", a_number=f"43664{number}")
            order = BlockOrder(
                order_id=f"order-{number}", key=key, action="refuse", created_at_ms=NOW_MS, learned_ms=NOW_MS,
                expires_at_ms=NOW_MS + 3_600_000, finding_id="f", reason="pumping",
            )  # fmt: skip
            orders.write(conn, order, Decision("waiting", "31 orders in the last minute", False, order.expires_at_ms), NOW_MS, automatic=True)
    assert house.run("orders", "--waiting").count("waiting: 31 orders in the last minute") == 2
    assert "1 order stands" in house.run("orders", "--approve", "order-1", "--why", "confirmed")
    assert "1 order lifted" in house.run("orders", "--deny", "order-2", "--why", "a campaign")
    assert "order order-2 is not waiting: it is lifted" in house.run("orders", "--deny", "order-2", "--why", "again", exit_code=1)
    assert "order-1  standing" in house.run("orders")


def test_a_switch_enforces_after_the_command_enforce(house: House):
    assert "enforcing" in house.run("enforce")
    assert "shadow" in house.run("enforce", "--switch", "k1", "--off", "--why", "a new trunk")
    output = house.run("block", "--account", "local", "--b-range", "88213", "--why", "pumped")
    assert "(shadow" in output and "calls go on" in output
    house.run("enforce", "--switch", "k1", "--why", "tried")
    with reading(house.engine) as conn:
        assert orders.counts(conn) == {"standing": 1}, "what was in shadow stands now"
    assert "There is no switch 'k9'" in house.run("enforce", "--switch", "k9", "--why", "w", exit_code=1)


def test_a_protected_number_cannot_be_blocked(house: House):
    assert "is protected" in house.run("protect", "--number", "+4314040", "--why", "hospital")
    assert "overlaps the protected number 4314040" in house.run(
        "block", "--account", "local", "--b-range", "4314", "--why", "w", exit_code=1
    )
    assert "hospital" in house.run("protect")
    house.run("protect", "--remove", "--number", "4314040", "--why", "moved")
    house.run("block", "--account", "local", "--b-range", "4314", "--why", "w")


def acts(house: House) -> list[str]:
    """The output of each command that changes a switch."""
    return [
        house.run("protect", "--number", "4314040", "--why", "hospital"),
        house.run("block", "--account", "local", "--b-range", "88213", "--why", "pumped"),
        house.run("unblock", "--account", "local", "--b-range", "88213", "--why", "theirs"),
        house.run("protect", "--remove", "--number", "4314040", "--why", "moved"),
        house.run("enforce", "--switch", "k1", "--why", "tried"),
    ]


def test_without_a_dispatcher_there_is_a_warning(house: House):
    for output in acts(house):
        assert "No dispatcher is running for k1" in output and "is delivered once one runs" in output
    assert "is protected in the books" in house.run("protect", "--number", "4314040", "--why", "hospital")


def test_with_a_running_dispatcher_there_is_no_warning(house: House):
    now_ms = time.time_ns() // 1_000_000
    with writing(house.engine) as conn:
        lease = leases.acquire(conn, "switch k1", "a dispatcher", 600_000, now_ms)
    for output in acts(house):
        assert "dispatcher" not in output and "in the books" not in output
    assert lease is not None
    with writing(house.engine) as conn:
        leases.release(conn, lease)  # it was stopped
    assert "No dispatcher" in house.run("block", "--account", "local", "--b-range", "88213", "--why", "pumped")
    with writing(house.engine) as conn:
        leases.acquire(conn, "switch k1", "one that was killed", 4_000, now_ms - 60_000)
    assert "No dispatcher" in house.run("block", "--account", "local", "--b-range", "88213", "--why", "pumped")


def test_a_switch_on_hold_or_missing_is_reported_too(house: House):
    with writing(house.engine) as conn:
        leases.acquire(conn, "switch k1", "a dispatcher", 600_000, time.time_ns() // 1_000_000)
        switches.hold(conn, "k1", "ann", "a test", NOW_MS)
    assert "k1 is held: no block acts there" in house.run("block", "--account", "local", "--b-range", "88213", "--why", "pumped")
    with writing(house.engine) as conn:
        tenants.add(conn, "t2", NOW_MS)
    output = house.run("block", "--tenant", "t2", "--account", "blue", "--b-range", "88213", "--why", "pumped")
    assert "No switch is in the books for it" in output and "ringfence switch add" in output


def test_a_home_without_books_is_an_error_with_its_path(tmp_path: Path):
    result = CliRunner().invoke(app, ["block", "--account", "a", "--why", "w", "--home", str(tmp_path)])
    assert result.exit_code == 1 and "There are no books" in result.output


@pytest.mark.parametrize(
    "name",
    [
        "up", "flow", "simulate", "replay", "config", "switch", "credential", "protect", "enforce", "block", "unblock", "orders", "calls",
        "status", "migrate",
    ],
)
def test_every_command_has_help_with_an_example(name: str):
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f"ringfence {name}" in " ".join(result.output.replace("│", " ").split())


def test_migrate_may_be_repeated(tmp_path: Path):
    for applied in ("applied", "at the newest migration"):
        result = CliRunner().invoke(app, ["migrate", "--home", str(tmp_path)])
        assert result.exit_code == 0, result.output
        assert applied in result.output


def test_users_are_added_listed_and_changed(house: House):
    assert "There are no users" in house.run("user", "list")
    added = CliRunner().invoke(
        app, ["user", "add", "anna", "--role", "analyst", "--password-stdin", "--why", "new", "--who", "ops", "--home", str(house.home)],
        input="correct horse battery\n", env={"RINGFENCE_BOOKS": house.books_dsn},
    )  # fmt: skip
    assert added.exit_code == 0 and "anna may sign in: analyst for t1." in added.output and "correct" not in added.output
    assert "analyst for t1" in house.run("user", "list") and '"sessions_from_ms"' in house.run("user", "list", "--json")
    assert "has the role fraud-lead for every tenant" in house.run("user", "role", "anna", "--add", "fraud-lead", "--every-tenant", "--why", "w")
    assert "did not have the role finance" in house.run("user", "role", "anna", "--remove", "finance", "--why", "w")
    assert "there is no role 'king'" in house.run("user", "role", "anna", "--add", "king", "--why", "w", exit_code=1)
    assert "anna is disabled" in house.run("user", "disable", "anna", "--why", "left", "--who", "ops")
    assert "disabled" in house.run("user", "list") and "there is no user 'ben'" in house.run("user", "disable", "ben", "--why", "w", exit_code=1)
    with reading(house.engine) as conn:
        assert [line.who for line in audit.last(conn, 1, "disabled a user")] == ["ops"]


def test_the_manual_waits_for_no_large_library():
    program = "import sys, ringfence.cli; print({'polars', 'numpy', 'pydantic', 'sqlalchemy', 'httpx2', 'bytewax'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
