"""From decks in the books to calls: the router and the deliverer fill a real Kamailio, and what changes reaches the next call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kamailio_calls import ACME, Bench, picks_up, talk

from books import Engine, alerts, migrate, open_books, switches, tenants, writing
from core.orders import Finding
from journal import create_topics, open_journal
from rating.routes.durations import Durations
from services import publishing, routes
from services.in_force import from_books
from services.routing import Router
from switches.dispatcher import Dispatcher

pytestmark = pytest.mark.kamailio
NOW = round(time.time() * 1000)
RETAIL = "prefix,price_per_min\n43,0.50\n"
ALPHA, BETA = "prefix,price_per_min\n43,0.06\n", "prefix,price_per_min\n43,0.05\n"
CONFIG = """
tenant: t1
decks: {{retail: {{file: retail.csv, currency: EUR}}, alpha: {{file: alpha.csv, currency: EUR}}, beta: {{file: beta.csv, currency: EUR}}}}
accounts: [{{name: acme, sell_deck: retail, route_plan: best}}]
carriers: [{{name: alpha, buy_deck: alpha}}, {{name: beta, buy_deck: beta}}]
trunks:
- {{name: in-acme, account: acme, sources: [{acme}]}}
- {{name: alpha-1, carrier: alpha, address: "127.0.0.1:{a}"}}
- {{name: beta-1, carrier: beta, address: "127.0.0.1:{b}"}}
route_plans: [{{name: best, margin_floor_percent: 5}}]
"""


class House:
    """Books, router and deliverer over one Kamailio."""

    def __init__(self, bench: Bench, folder: Path, engine: Engine) -> None:
        self.bench, self.folder, self.engine = bench, folder, engine
        with writing(engine) as conn:
            tenants.add(conn, "t1", NOW)
            switches.add(conn, "k1", "kamailio", bench.running.control_url, "test-token", NOW)
            switches.serve(conn, "k1", "t1", NOW)
        self.router = Router(
            engine, from_books(engine), lambda tenant, now_ms: Durations(),
            lambda tenant: routes.live(None, routes.suspects(engine, tenant, clock()), tenant),
        )  # fmt: skip
        journal = open_journal(f"files://{folder}/journal")
        create_topics(journal, 1)
        self.dispatcher = Dispatcher(engine, journal, clock=clock, holder="test")

    def publish(self, alpha: str = ALPHA, beta: str = BETA) -> None:
        a, b = self.bench.carrier_ports
        for name, csv in (("retail", RETAIL), ("alpha", alpha), ("beta", beta)):
            (self.folder / f"{name}.csv").write_text(csv)
        (self.folder / "config.yaml").write_text(CONFIG.format(acme=ACME, a=a, b=b))
        with writing(self.engine) as conn:
            publishing.publish(conn, publishing.check(self.folder / "config.yaml", conn), "ops", "w", NOW)

    def deliver(self) -> None:
        self.router.round(clock())
        self.dispatcher.step()

    def carrier_of_a_call(self, number: str) -> str:
        self.bench.caller(talk(50), number).finish()
        return str(self.bench.wait_for("stop", 1, b_raw=number)[-1]["carrier"])


def clock() -> int:
    return round(time.time() * 1000)


@pytest.fixture
def house(new_bench: Callable[..., Bench], tmp_path: Path) -> Iterator[House]:
    bench = new_bench(carriers=2, sources=())
    bench.callee(picks_up(ring_ms=10), 0)
    bench.callee(picks_up(ring_ms=10), 1)
    engine = open_books(f"{tmp_path}/books.db")
    migrate(engine)
    made = House(bench, tmp_path, engine)
    made.publish()
    made.deliver()
    yield made
    engine.dispose()


def test_a_new_deck_and_a_suspicion_change_the_route_of_the_next_call_and_without_us_calls_go_on(house: House) -> None:
    assert house.carrier_of_a_call("43111111") == "beta"
    house.publish(beta="prefix,price_per_min\n43,0.07\n")
    began = time.monotonic()
    house.deliver()
    assert time.monotonic() - began < 10
    assert house.carrier_of_a_call("43222222") == "alpha"
    finding = Finding(
        finding_id="f-1", tenant="t1", detector="fas", subject_kind="route", subject="alpha>43", detected_at_ms=clock(), first_ms=clock(),
        last_ms=clock(), calls=40, exposure_nanos=0, currency="EUR", score=2.0, reason="alpha answers before it rings", example_call_ids=[],
    )  # fmt: skip
    with writing(house.engine) as conn:
        alerts.upsert(conn, finding, clock())
    house.deliver()
    assert house.carrier_of_a_call("43333333") == "beta", "a suspect carrier has lost its place, though it is cheaper"
    house.dispatcher.close()
    house.engine.dispose()  # nothing of ours is there any more
    house.bench.restart()
    assert house.carrier_of_a_call("43444444") == "beta", "by the last table"
    assert {r["route"] for r in house.bench.records("stop")} == {"best@t1+retail|43"}
