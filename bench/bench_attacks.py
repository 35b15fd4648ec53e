"""How fast fraud is stopped at a real Kamailio, and how much money it costs until then.

One attack after the other, each by its own account with ten expensive calls per second into one range, beside twenty honest calls
per second. `--full`: 200 attacks, about seven minutes; without it 15, under a minute.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from figures import need, print_ms, print_use, shares, use_of
from kamailio_calls import Sipp, talk
from real_chain import PREMIUM, SWITCH, Chain, Customer, build, enforce, talk_or_refused
from sqlalchemy import text

from books import open_books, reading
from core.orders import BlockOrder
from core.topics import BLOCK_ORDERS
from journal import open_journal
from switches.tail import Positions, read_batch

HONEST, HONEST_PER_S = 20, 20
ATTACK_PER_S, ATTACK_CALLS, ATTACK_TALK_MS = 10, 20, 3000


class Spool:
    """What the switch wrote since the last look, by account."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._positions: Positions = {}
        self.setups: dict[str, list[int]] = defaultdict(list)
        self.refused: dict[str, list[tuple[int, str]]] = defaultdict(list)

    def look(self) -> None:
        batch = read_batch(self._home, self._positions, max_bytes=1 << 24, torn_after_s=60, now_s=time.time())
        self._positions = batch.positions
        for line in batch.lines:
            record = msgspec.json.decode(line)
            if record["event"] == "setup":
                self.setups[record["account"]].append(record["at_ms"])
            elif record["event"] == "refused":
                self.refused[record.get("account", "")].append((record["at_ms"], record.get("order_id", "")))


class Order(NamedTuple):
    """The order that stopped an attack, on its way."""

    order: BlockOrder
    written_ms: int  # into the journal
    delivered_ms: int  # acknowledged by the switch


class Orders:
    """Orders as they are written, and when the switch had them."""

    def __init__(self, chain: Chain) -> None:
        self._reader = open_journal(chain.settings.journal_dsn).reader(BLOCK_ORDERS, 0, 0)
        self._engine = open_books(chain.settings.books_dsn)
        self.first: dict[str, tuple[BlockOrder, int]] = {}

    def look(self) -> None:
        for message in self._reader.read():
            order = msgspec.json.decode(message.value, type=BlockOrder)
            self.first.setdefault(order.key.account, (order, message.learned_ms))

    def of(self, account: str) -> Order | None:
        self.look()
        if account not in self.first:
            return None
        order, written_ms = self.first[account]
        sql = "SELECT delivered_at_ms FROM deliveries WHERE switch = :switch AND name = :name AND value = :value AND NOT due"
        named = {"switch": SWITCH, "name": order.key.entry(), "value": order.order_id}
        with reading(self._engine) as conn:
            delivered_ms = conn.execute(text(sql), named).scalar()
        return Order(order, written_ms, delivered_ms) if delivered_ms else None


class Stopped(NamedTuple):
    """One attack that was stopped."""

    decided_to_refused_ms: float
    decided_to_learned_ms: float
    learned_to_written_ms: float
    written_to_table_ms: float
    learned_to_table_ms: float
    leaked: int  # INVITEs let in after the deciding event
    let_in: int  # before the first refusal, in all


def attack(chain: Chain, spool: Spool, orders: Orders, who: Customer, n: int) -> Stopped | None:
    """Returns when it has sent its last INVITE; None = nothing of it was refused."""
    last_s = time.monotonic() + ATTACK_CALLS / ATTACK_PER_S
    chain.call(who, f"{PREMIUM}{n:04}0100", talk_or_refused(ATTACK_TALK_MS), calls=ATTACK_CALLS, rate=ATTACK_PER_S)
    done = None
    while (now_s := time.monotonic()) < last_s or (done is None and now_s < last_s + 2):
        spool.look()
        if done is None and spool.refused.get(who.account):
            done = orders.of(who.account)
        time.sleep(0.05)
    return measured(spool, done, who) if done else None


def measured(spool: Spool, done: Order, who: Customer) -> Stopped:
    refused_ms = min(at_ms for at_ms, _ in spool.refused[who.account])
    decided_ms, learned_ms = done.order.created_at_ms, done.order.learned_ms
    let_in = [at_ms for at_ms in spool.setups[who.account] if at_ms <= refused_ms]
    return Stopped(
        decided_to_refused_ms=refused_ms - decided_ms,
        decided_to_learned_ms=learned_ms - decided_ms,
        learned_to_written_ms=done.written_ms - learned_ms,
        written_to_table_ms=done.delivered_ms - done.written_ms,
        learned_to_table_ms=done.delivered_ms - learned_ms,
        leaked=sum(at_ms > decided_ms for at_ms in let_in),
        let_in=len(let_in),
    )


def honest_calls(chain: Chain, who: list[Customer], seconds: float) -> Iterator[Sipp]:
    """Twenty a second in all, each account its own numbers, ringing for half a second and talking for two and a half."""
    rate = HONEST_PER_S / len(who)
    for n, customer in enumerate(who):
        yield chain.call(
            customer, f"43664{n:04}0500", talk(2500), calls=int(seconds * rate), rate=rate, timeout_s=int(seconds) + 60
        )


def run(chain: Chain, attacks: int) -> None:
    spool, orders = Spool(chain.settings.spool_dir), Orders(chain)
    honest = [chain.customer() for _ in range(HONEST)]
    list(honest_calls(chain, honest, attacks * (ATTACK_CALLS / ATTACK_PER_S + 0.2) + 10))
    time.sleep(3)
    before, began = use_of(chain), time.monotonic()
    stopped: list[Stopped] = []
    missed: list[str] = []
    for n in range(attacks):
        who = chain.customer()
        one = attack(chain, spool, orders, who, n)
        if one is None:
            missed.append(who.account)
        else:
            stopped.append(one)
        chain.check_alive()
    seconds = time.monotonic() - began
    after = use_of(chain)
    spool.look()
    report(stopped, missed, spool, {c.account for c in honest}, seconds)
    print_use(before, after, seconds)


def report(stopped: list[Stopped], missed: list[str], spool: Spool, honest: set[str], seconds: float) -> None:
    print(
        f"{len(stopped)} of {len(stopped) + len(missed)} attacks were stopped, in {seconds:.0f} s; not: {', '.join(missed) or 'none'}"
    )
    if stopped:
        columns: dict[str, list[Any]] = {name: [getattr(one, name) for one in stopped] for name in Stopped._fields}
        print_ms("deciding SIP event to the first refused INVITE", columns["decided_to_refused_ms"])
        print_ms("  of which: event to its record in the journal", columns["decided_to_learned_ms"])
        print_ms("  of which: record to the order in the journal", columns["learned_to_written_ms"])
        print_ms("  of which: order to the switch's table, acknowledged", columns["written_to_table_ms"])
        print_ms("a record's arrival to the acknowledged order", columns["learned_to_table_ms"])
        p50, p95, most = shares(columns["leaked"])
        print(f"  calls leaked after the deciding event: {sum(columns['leaked'])}; an attack p50 {p50}, p95 {p95}, max {most}")
        p50, p95, most = shares(columns["let_in"])
        print(f"  calls let in before the first refusal:  {sum(columns['let_in'])}; an attack p50 {p50}, p95 {p95}, max {most}")
    calls = sum(len(spool.setups[account]) for account in honest)
    wrong = sum(len(spool.refused[account]) for account in honest)
    print(f"  honest calls beside them: {calls}; refused by mistake: {wrong}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="200 attacks")
    parser.add_argument("--attacks", type=int, default=0, help="so many")
    chosen = parser.parse_args()
    attacks = chosen.attacks or (200 if chosen.full else 15)
    need("kamailio", "sipp")
    with tempfile.TemporaryDirectory() as directory:
        chain = build(Path(directory), count=attacks + HONEST + 1, workers=4, spool_span_s=3600)
        try:
            enforce(chain, True)
            run(chain, attacks)
        finally:
            chain.close()


if __name__ == "__main__":
    main()
