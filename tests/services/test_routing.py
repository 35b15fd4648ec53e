"""The router: what it wants at which switch, how much of it a change changes, and what a crash leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from books import Engine, configs, deliveries, migrate, open_books, reading, switches, tenants, writing
from books.deliveries import ROUTE_PLANS, ROUTES, TABLES, urgency
from rating.routes.durations import Durations
from rating.routes.live import Live, Standing
from services import publishing, routing
from services.config_file import Wrong
from services.in_force import from_books
from services.routing import Router
from switches.routes import Plan, Route

NOW = 1_795_000_000_000
DECKS = {
    "retail": "prefix,price_per_min\n43,0.10\n4366,0.20\n882,9\n",
    "alpha": "prefix,price_per_min\n43,0.06\n4366,0.15\n882,1\n",
    "beta": "prefix,price_per_min\n43,0.05\n4366,0.16\n",
}
CONFIG = """
tenant: t1
decks: {retail: {file: retail.csv, currency: EUR}, alpha: {file: alpha.csv, currency: EUR}, beta: {file: beta.csv, currency: EUR}}
accounts: [{name: acme, sell_deck: retail, route_plan: best}, {name: blue, sell_deck: retail, route_plan: best}, {name: old, sell_deck: retail}]
carriers: [{name: alpha, buy_deck: alpha}, {name: beta, buy_deck: beta}]
trunks:
- {name: alpha-1, carrier: alpha, address: "127.0.0.1:5080"}
- {name: beta-1, carrier: beta, address: "127.0.0.1:5081"}
route_plans: [{name: best, margin_floor_percent: 5, rules: [{action: deny, b_range: "882"}]}]
"""


class Books:
    """Books with one switch, and a router over them."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder, self.live = engine, folder, Live()
        with writing(engine) as conn:
            tenants.add(conn, "t1", NOW)
            switches.add(conn, "k1", "kamailio", "http://127.0.0.1:1", "x", NOW)
            switches.serve(conn, "k1", "t1", NOW)
        self.router = Router(engine, from_books(engine), lambda tenant, now_ms: Durations(), lambda tenant: self.live)

    def publish(self, text: str = CONFIG, **decks: str) -> None:
        for name, csv in (DECKS | decks).items():
            (self.folder / f"{name}.csv").write_text(csv)
        (self.folder / "config.yaml").write_text(text)
        with writing(self.engine) as conn:
            publishing.publish(conn, publishing.check(self.folder / "config.yaml", conn), "ops", "w", NOW)

    def held(self, table: str) -> dict[str, str]:
        with reading(self.engine) as conn:
            return {name: value for name, value, _, _ in deliveries.rows(conn, "k1", table) if value}

    def routes(self) -> dict[str, str]:
        rows = {name: msgspec.json.decode(value, type=Route) for name, value in self.held(ROUTES).items()}
        return {name: " ".join(row.gateways) or row.refuse for name, row in rows.items()}

    def due(self) -> list[tuple[str, str]]:
        with writing(self.engine) as conn:
            found = deliveries.due(conn, "k1", 1_000)
            deliveries.acknowledge(conn, found, NOW)
        return [(one.table, one.name) for one in found]


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    engine = open_books(f"{tmp_path}/books.db")
    migrate(engine)
    yield Books(engine, tmp_path)
    engine.dispose()


def test_a_view_is_written_once_for_all_accounts_that_see_it_and_its_plan_comes_last(books: Books) -> None:
    assert books.router.round(NOW) == {}, "nothing was published"
    books.publish()
    assert books.router.round(NOW) == {"k1": 4}
    view = "best@t1+retail"
    assert books.routes() == {f"{view}|43": "beta-1 alpha-1", f"{view}|4366": "alpha-1 beta-1", f"{view}|882": "denied"}
    (plan,) = (msgspec.json.decode(value, type=Plan) for value in books.held(ROUTE_PLANS).values())
    assert (plan.tries, plan.first) == (4, "table")
    assert books.due()[-1] == (ROUTE_PLANS, view)
    assert urgency(ROUTES, "x") > urgency(ROUTE_PLANS, "x") > urgency(deliveries.SOURCES, "x")
    assert books.router.round(NOW + 10_000) == {} and books.due() == []


def test_a_new_deck_or_a_standing_changes_only_the_rows_that_it_changes(books: Books) -> None:
    books.publish()
    books.router.round(NOW)
    books.due()
    books.publish(beta="prefix,price_per_min\n43,0.05\n4366,0.14\n")
    books.router.round(NOW)
    assert books.due() == [(ROUTES, "best@t1+retail|4366")], "43 covers it now: it is removed"
    books.live = Live({("beta", ""): Standing(suspected="false answers")})
    books.router.round(NOW)
    assert books.routes()["best@t1+retail|43"] == "alpha-1 beta-1"
    assert books.due() == [(ROUTES, "best@t1+retail|43")]
    books.live = Live()
    books.router.round(NOW)
    assert books.routes()["best@t1+retail|43"] == "beta-1 alpha-1"


def test_a_plan_that_is_gone_takes_its_rows_with_it(books: Books) -> None:
    books.publish()
    books.router.round(NOW)
    books.publish(CONFIG.replace(", route_plan: best", ""))
    books.router.round(NOW)
    assert books.routes() == {} == books.held(ROUTE_PLANS)


def test_after_a_crash_between_two_parts_the_next_router_goes_on(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "CHUNK", 1)
    books.publish()
    parts = iter(range(2))

    def dies(step: str) -> None:
        if step == "some" and next(parts, None) is None:
            raise KeyboardInterrupt

    books.router.fault = dies
    with pytest.raises(KeyboardInterrupt):
        books.router.round(NOW)
    assert len(books.routes()) == 3 and books.held(ROUTE_PLANS) == {}, "a switch does not use the view yet"
    again = Router(books.engine, from_books(books.engine), lambda tenant, now_ms: Durations(), lambda tenant: Live())
    assert again.round(NOW) == {"k1": 1}


def test_a_window_opens_without_a_new_version(books: Books) -> None:
    books.publish(CONFIG.replace('b_range: "882"', 'carrier: beta, window: "10:00-12:00"'))
    at_ten = NOW - NOW % 86_400_000 + 10 * 3_600_000
    books.router.round(at_ten - 60_000)
    assert books.routes()["best@t1+retail|43"] == "beta-1 alpha-1"
    books.router.round(at_ten)
    assert books.routes()["best@t1+retail|43"] == "alpha-1"


def test_every_table_of_a_switch_has_its_place_in_the_order() -> None:
    marks = [urgency(table, value) for table in TABLES for value in ("x", "")]
    assert all(mark > 0 for mark in marks) and {urgency("blocks", "x"), urgency("shadow", "")} == {10}
    lasting = [table for table in TABLES if table not in ("blocks", "shadow")]
    assert all(urgency(table, "x") > 10 > urgency(table, "") for table in lasting)


FAULTS = """
tenant: t1
accounts: [{name: x, route_plan: nope}]
carriers: [{name: alpha}, {name: gone}]
trunks: [{name: a, carrier: alpha, address: "127.0.0.1:5080", capacity_calls: 0}, {name: in, probe: yes}]
route_plans:
- {name: one, order: weight, carriers: [{carrier: alpha, weight: 0}, {carrier: gone, weight: 0}], then: two}
- {name: two, order: blend, then: one, tries: 9, stop_codes: [200, 5xx], margin_floor_percent: 100}
- {name: three, rules: [{action: permit}, {action: deny, window: noon}, {action: deny, b_range: "+43"}], then: four, tries: lots}
"""


def test_every_fault_of_the_routes_is_found_at_once_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(FAULTS)
    with pytest.raises(Wrong) as wrong:
        publishing.check(tmp_path / "config.yaml")
    expected = [
        "route_plans[2].rules[0].action: 'permit' is none of allow, deny",
        "route_plans[2].rules[1].window: 'noon' is no part of a window",
        "route_plans[2].rules[2].b_range: '+43' is not 1 to 15 digits",
        "route_plans[2].tries: 'lots' is not a whole number",
        "route_plans[0].carriers[1].carrier: carrier 'gone' has no gateway: give it a trunk with an address, or leave it out",
        "accounts[0].route_plan: no route plan 'nope'",
        "trunks[0].capacity_calls: must be > 0; to send it no call, set out_of_service",
        "trunks[1].probe: is of a gateway: set the trunk's `carrier` and `address` as well",
        "route_plans[0].carriers: order is by weight, and the weights of the carriers sum to nothing",
        "route_plans[0].then: the route plans form a circle: one > two > one",
        "route_plans[1].weights: order is by blend, and the weights sum to nothing",
        "route_plans[1].tries: must be 1 to 8 gateways, and is 9",
        "route_plans[1].margin_floor_percent: must be -1000 to less than 100 percent of the sale, and is 100",
        "route_plans[1].stop_codes[0]: '200' is no code of a failure",
        "route_plans[1].then: the route plans form a circle: two > one > two",
        "route_plans[2].then: no route plan 'four'",
    ]
    assert len(wrong.value.faults) == len(expected)
    for fault, words in zip(wrong.value.faults, expected, strict=True):
        assert fault.startswith(words), fault


def test_a_change_that_leaves_a_carrier_without_a_gateway_is_refused(books: Books) -> None:
    books.publish(CONFIG.replace("margin_floor_percent: 5,", "carriers: [{carrier: alpha}],"))
    with writing(books.engine) as conn, pytest.raises(Wrong, match=r"route_plans t1/best: carriers\[0\]\.carrier: carrier 'alpha' has no gateway"):
        publishing.change(conn, [], [publishing.Name("trunks", "t1", "alpha-1")], "ops", "w", NOW)
    with reading(books.engine) as conn:
        assert configs.latest(conn) == 1
