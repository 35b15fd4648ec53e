"""One Kamailio carries two tenants: each call is posted, keyed and rated under its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from kamailio_calls import ACME, BLUE, STRANGER, Bench, Source, carrier_rows, picks_up, refused, talk

from books.credentials import Credential
from core.config import Account, Carrier, Config, Trunk
from core.decode import Message
from core.record import TICK_KEY, tenant_of
from flows.step import State, judge
from journal import open_journal
from rating.contracts import compile_contracts
from rating.decks import read_deck
from switches import desired
from switches.collector import serve
from switches.post import connect, post_records

pytestmark = pytest.mark.kamailio

TENANTS = ("t1", "t2")
DECKS = {tenant: read_deck(f"prefix,price_per_min\n43,{price}\n".encode(), tenant, "EUR") for tenant, price in (("t1", 60), ("t2", 120))}


def config_of() -> Config:
    """Both tenants have an account, trunks and a carrier of the same names, and other prices."""
    return Config(
        version=1,
        decks={name: deck.deck_id for name, deck in DECKS.items()},
        accounts=tuple(Account(tenant=tenant, name="acme", sell_deck=tenant) for tenant in TENANTS),
        carriers=tuple(Carrier(tenant=tenant, name="blue", buy_deck=tenant) for tenant in TENANTS),
        trunks=tuple(Trunk(tenant=tenant, name=name) for tenant in TENANTS for name in ("in", "out")),
    )


def journalled(home: Path, lines: list[bytes]) -> list[Message]:
    """The journal entries that a real collector writes for these lines, with its ticks."""
    journal, stop, port, up = open_journal(f"files://{home}/journal"), threading.Event(), [0], threading.Event()

    def listening(number: int) -> None:
        port[0] = number
        up.set()

    running = threading.Thread(
        target=serve,
        kwargs={
            "journal": journal, "spool": home / "collector", "find_credential": lambda _: Credential(TENANTS, "k1"), "config_version": lambda: 1,
            "listening": listening, "stop": stop, "tick_s": 0.2, "port": 0,
        },
    )  # fmt: skip
    running.start()
    try:
        assert up.wait(10)
        time.sleep(1)  # its first tick
        with connect(f"http://127.0.0.1:{port[0]}", "a-token") as client:
            assert post_records(client, lines) == len(lines)
    finally:
        stop.set()
        running.join(20)
    found = []
    for partition in range(journal.partitions("calls")):
        reader = journal.reader("calls", partition, 0)
        while batch := reader.read():
            found += batch
        reader.close()
    return found


def test_calls_of_two_tenants_are_rated_under_their_own(new_bench: Callable[..., Bench], tmp_path: Path) -> None:
    bench = new_bench(tenant="t1", sources=(Source(ACME, "t1", "acme", "in"), Source(BLUE, "t2", "acme", "in")))
    hop = desired.Carrier("blue", f"127.0.0.1:{bench.carrier_ports[0]}", egress_trunk="out")
    bench.fill("carriers", carrier_rows([hop], *TENANTS))
    bench.callee(picks_up())
    for source in (ACME, BLUE):
        bench.caller(talk(1200), "4312345678", source=source).finish()
    bench.caller(refused(403), "4312345678", source=STRANGER).finish()
    bench.wait_for("stop", 2)
    assert {record["tenant"] for record in bench.records()} == set(TENANTS), "what is nobody's is the switch's own tenant's"

    by_partition: dict[int, list[Message]] = {}
    for message in journalled(tmp_path, bench.lines()):
        by_partition.setdefault(message.partition, []).append(message)
    contracts = compile_contracts(config_of(), DECKS)
    fates, rated = [], []
    for messages in by_partition.values():
        outcome = judge(State(b"s" * 16), messages, lambda _: contracts)
        fates += outcome.records["disposition"].to_list()
        rated += outcome.priced.select("tenant", "sell_nanos", "billable_s").rows()
        assert {tenant_of(one.key) for one in messages if one.key != TICK_KEY} <= set(TENANTS)
    assert not {"reject", "unrated", "conflict"} & set(fates), fates
    assert len({msgspec.json.decode(line)["seq"] for line in bench.lines()}) == len(bench.lines())
    assert sorted(tenant for tenant, *_ in rated) == ["t1", "t2"], rated
    by_tenant = {tenant: nanos / seconds for tenant, nanos, seconds in rated}
    assert by_tenant["t2"] == 2 * by_tenant["t1"] > 0
