"""Books with a config, for what asks them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from books import Engine, migrate, open_books, reading, switches, tenants, writing
from books import credentials as stored
from rating.routes.durations import Durations
from rating.routes.live import Live
from services import publishing
from services.asking import Asking
from services.in_force import from_books

NOW = 1_795_000_000_000
TOKEN = "a-token-of-the-tests"
DECKS = {
    "retail": "prefix,price_per_min\n43,0.10\n4366,0.20\n882,9\n",
    "alpha": "prefix,price_per_min\n43,0.06\n4366,0.15\n",
    "beta": "prefix,price_per_min\n43,0.05\n4366,0.16\n",
}
CONFIG = """
tenant: t1
decks: {retail: {file: retail.csv, currency: EUR}, alpha: {file: alpha.csv, currency: EUR}, beta: {file: beta.csv, currency: EUR}}
accounts: [{name: acme, sell_deck: retail, route_plan: best}, {name: old, sell_deck: retail}]
carriers: [{name: alpha, buy_deck: alpha}, {name: beta, buy_deck: beta}]
trunks:
- {name: in, account: acme, sources: [192.0.2.0/24]}
- {name: alpha-1, carrier: alpha, address: "192.0.2.1:5060", prefix: "7001", capacity_calls: 2}
- {name: beta-1, carrier: beta, address: "192.0.2.2:5060"}
portability: [{name: mnp}]
route_plans: [{name: best, portability: mnp, rules: [{action: deny, b_range: "882", why: premium}]}]
"""


class House:
    """Books, and what asks them."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder, self.live = engine, folder, Live()
        with writing(engine) as conn:
            tenants.add(conn, "t1", NOW)
            switches.add(conn, "k1", "kamailio", "http://127.0.0.1:1", "x", NOW)
            switches.serve(conn, "k1", "t1", NOW)
            stored.add(conn, ["t1"], "k1", TOKEN, [], NOW)
        self.asking = Asking(
            engine, from_books(engine), lambda tenant, now_ms: Durations(), lambda tenant: self.live, folder / "state", lambda: NOW, lambda: 1.0
        )

    def publish(self, text: str = CONFIG) -> None:
        for name, csv in DECKS.items():
            (self.folder / f"{name}.csv").write_text(csv)
        (self.folder / "config.yaml").write_text(text)
        with writing(self.engine) as conn:
            publishing.publish(conn, publishing.check(self.folder / "config.yaml", conn), "ops", "w", NOW)
        self.asking.refresh()

    def find(self, token: str) -> stored.Credential | None:
        with reading(self.engine) as conn:
            return stored.find(conn, token)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    engine = open_books(f"{tmp_path}/books.db")
    migrate(engine)
    yield House(engine, tmp_path)
    engine.dispose()
