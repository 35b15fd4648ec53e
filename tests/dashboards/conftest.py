"""An installation for the page: a real warehouse behind its server, real books, HTTP servers for the parts."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from books import Engine, alerts, configs, decks, deliveries, open_books, orders, switches, tenants, writing
from core import schemas
from core.clock import wall_clock_ms
from core.config import Account, Carrier, Config
from core.decide import Decision
from core.orders import BlockOrder, Finding, Key
from dashboards import current
from dashboards.access import session_cookie
from dashboards.desk import PAGES
from dashboards.page_settings import PageSettings
from dashboards.serve import OPTIONS, PAGE
from flows.warehouse_server import serve
from journal import create_topics, open_journal
from warehouse import Warehouse, insert, open_warehouse

config.set_option("runner.postScriptGC", OPTIONS["runner.postScriptGC"])  # as the pages are served: else each drawing walks all that is loaded

LOOK, ACT = "the-token-to-look-at-it", "the-token-to-act-on-it"


class House:
    """One installation in a directory."""

    def __init__(self, home: Path, new_warehouse: Callable[[Path], None], new_books: Path) -> None:
        self.home = home
        new_warehouse(home / "warehouse")
        self.warehouse: Warehouse = open_warehouse(f"chdb://{home}/warehouse")
        self.server = serve(home / "warehouse", "127.0.0.1", 0, LOOK)
        self.books = f"sqlite:///{home}/books.db"
        shutil.copy(new_books, home / "books.db")
        self.engine: Engine = open_books(self.books)
        self.journal = f"files://{home}/journal"
        create_topics(open_journal(self.journal))
        self.offset = 0
        with writing(self.engine) as conn:
            tenants.add(conn, "t1", 0)
            switches.add(conn, "k1", "loopback", "http://127.0.0.1:9/RPC", "secret", 0)
            switches.set_enforcing(conn, "k1", "t1", True, "test", "test", 0)

    def settings(self, **other: Any) -> PageSettings:
        address = f"http://reader:{LOOK}@127.0.0.1:{self.server.port}"
        made = PageSettings(home=str(self.home), warehouse=address, books=self.books, journal=self.journal, look=LOOK, act=ACT)
        return replace(made, **other)

    def records(self, *dispositions: str, ago_ms: int = 20_000, tenant: str = "t1") -> None:
        """Records received `ago_ms` ago, one per disposition."""
        rows = []
        for disposition in dispositions:
            self.offset += 1
            at_ms = wall_clock_ms() - ago_ms
            rows.append({"tenant": tenant, "partition": 0, "offset": self.offset, "learned_ms": at_ms, "event": "stop", "disposition": disposition})
        insert(self.warehouse, "records", table(schemas.JUDGED, rows))

    def calls(self, *sold: tuple[str, str, int, int], ago_ms: int = 20_000, tenant: str = "t1") -> None:
        """Calls: (currency of the sale, of the purchase, sell nanos, buy nanos)."""
        calls, charges = [], []
        for sell, buy, sell_nanos, buy_nanos in sold:
            self.offset += 1
            row = {"tenant": tenant, "partition": 0, "offset": self.offset, "revision": 1, "learned_ms": wall_clock_ms() - ago_ms}
            calls.append(row | {"attempts": 1, "suspected_hung": False, "suspected_duplicate": False})
            numbers = {name: 0 for name, dtype in schemas.CHARGES.items() if dtype != pl.String}
            for role, currency, nanos in (("sell", sell, sell_nanos), ("buy", buy, buy_nanos)):
                charges.append(numbers | row | {"role": role, "currency": currency, "nanos": nanos})
        insert(self.warehouse, "calls", table(schemas.CALLS, calls))
        insert(self.warehouse, "charges", table(schemas.CHARGES, charges))

    def call(
        self, account: str, a_number: str, b_number: str, talk_s: int, nanos: int = 0, *, carrier: str = "alpha", ago_ms: int = 60_000,
        tenant: str = "t1", call_id: str = "", config_version: int = 0, destination: str = "Austria Mobile",
    ) -> str:  # fmt: skip
        """One answered call with its stop, attempt, sell charge, and half of it as buy charge. Returns its place, PARTITION-OFFSET."""
        self.offset += 1
        end_ms = wall_clock_ms() - ago_ms
        answer_ms = end_ms - 1_000 * talk_s
        key = f"{self.offset:032x}"
        call_id = call_id or f"{key}@pbx"
        at = {"tenant": tenant, "partition": 0, "offset": self.offset, "revision": 1, "learned_ms": end_ms, "call_key": key, "account": account}
        facts = at | {
            "switch": "k1", "call_id": call_id, "a_number": a_number, "b_number": b_number, "carrier": carrier, "setup_ms": answer_ms - 4_000,
            "answer_ms": answer_ms, "end_ms": end_ms, "duration_ms": 1_000 * talk_s, "config_version": config_version,
        }  # fmt: skip
        insert(self.warehouse, "calls", table(schemas.CALLS, [facts | {"attempts": 1, "suspected_hung": False, "suspected_duplicate": False}]))
        numbers = {name: 0 for name, dtype in schemas.CHARGES.items() if dtype != pl.String}
        one = numbers | at | {
            "currency": "EUR", "destination": destination, "setup_ms": answer_ms - 4_000, "answer_ms": answer_ms, "start_ms": answer_ms,
            "end_ms": end_ms, "charged_s": talk_s, "carrier": carrier,
            "config_version": config_version,
        }  # fmt: skip
        per_min = nanos * 60 // talk_s
        sold = one | {"role": "sell", "party": account, "nanos": nanos, "per_min_nanos": per_min}
        bought = one | {"role": "buy", "party": carrier, "attempt_no": 1, "nanos": nanos // 2, "per_min_nanos": per_min // 2}
        insert(self.warehouse, "charges", table(schemas.CHARGES, [sold, bought]))
        attempt = {name: at[name] for name in ("tenant", "partition", "offset", "revision", "learned_ms", "call_key", "account")}
        attempt |= {"attempt_no": 1, "carrier": carrier, "b_number": b_number, "at_ms": answer_ms, "answered": True, "duration_ms": 1_000 * talk_s}
        insert(self.warehouse, "attempts", table(schemas.ATTEMPTS, [attempt | {"switch": "k1"}]))
        stop = {
            "tenant": tenant, "partition": 0, "offset": self.offset, "learned_ms": end_ms, "event": "stop", "at_ms": end_ms, "call_key": key,
            "call_id": call_id, "account": account, "disposition": "rated", "a_number": a_number, "b_number": b_number,
        }  # fmt: skip
        insert(self.warehouse, "records", table(schemas.JUDGED, [stop]))
        return f"0-{self.offset}"

    def reject(self, raw: bytes, reason: str, tenant: str = "t1") -> None:
        self.offset += 1
        row = {"tenant": tenant, "partition": 0, "offset": self.offset, "learned_ms": wall_clock_ms() - 5_000, "event": ""}
        insert(self.warehouse, "records", table(schemas.JUDGED, [row | {"disposition": "reject", "reason": reason, "raw": raw}]))

    def refused(self, order_id: str, count: int, tenant: str = "t1") -> None:
        """Calls that a switch refused by an order."""
        rows = []
        for _ in range(count):
            self.offset += 1
            row = {"tenant": tenant, "partition": 0, "offset": self.offset, "learned_ms": wall_clock_ms() - 9_000, "event": "refused"}
            rows.append(row | {"order_id": order_id, "disposition": "event"})
        insert(self.warehouse, "records", table(schemas.JUDGED, rows))

    def publish(self) -> int:
        """A config with one account and one carrier, whose decks know +43. Returns its version."""
        with writing(self.engine) as conn:
            deck = b"prefix,destination,price_per_min,first_s,next_s\n43,Austria,0.06,60,6\n43664,Austria Mobile,0.12,1,1\n"
            ids = {name: decks.add(conn, deck, "EUR", "test", 0) for name in ("retail", "alpha-deck")}
            config = Config(
                accounts=(Account(tenant="t1", name="acme", sell_deck="retail"),),
                carriers=(Carrier(tenant="t1", name="alpha", buy_deck="alpha-deck"),),
                decks={f"t1/{name}": deck_id for name, deck_id in ids.items()},
            )
            return configs.publish(conn, config, "test", "test", 0)

    def attack(self, status: str = "standing", number: int = 1, **key: str) -> Key:
        """A finding, its order with this status, and the switch's acknowledgement if it is live."""
        now_ms = wall_clock_ms() - 60_000
        of = Key(**({"tenant": "t1", "account": "acme", "a_number": "436641234567", "b_range": "88213001"} | key))
        subject = f"{of.account}/{of.a_number}>{of.b_range}"
        reason = f"b range {subject}: 1234567.89 EUR on 10 calls; now towards satellite numbers {of.b_range} (no country)"
        finding = Finding(
            finding_id=f"finding-{number}", tenant=of.tenant, detector="burst", subject_kind="b_range", subject=subject, detected_at_ms=now_ms,
            first_ms=now_ms - 5_000, last_ms=now_ms, calls=10, exposure_nanos=1_234_567_890_000_000, currency="EUR", score=1.5, reason=reason,
            example_call_ids=["call-1"], key=of, learned_ms=now_ms,
        )  # fmt: skip
        order = BlockOrder(
            order_id=f"order-{number}", key=of, action="refuse", created_at_ms=now_ms, learned_ms=now_ms, expires_at_ms=now_ms + 3_600_000,
            finding_id=finding.finding_id, reason=reason,
        )  # fmt: skip
        with writing(self.engine) as conn:
            alerts.upsert(conn, finding, now_ms)
            orders.write(conn, order, Decision(status, "a limit was reached", True, order.expires_at_ms), now_ms, automatic=True)
            deliveries.acknowledge(conn, deliveries.of_one_key(conn, of), now_ms + 500)
        return of

    def close(self) -> None:
        self.server.close()
        self.warehouse.close()
        self.engine.dispose()


def table(schema: pl.Schema, rows: list[dict[str, Any]]) -> Any:
    blank = {name: "" if dtype == pl.String else None for name, dtype in schema.items()}
    return pl.DataFrame([blank | row for row in rows], schema=schema).to_arrow()


@pytest.fixture
def house(tmp_path: Path, new_warehouse: Callable[[Path], None], new_books: Path) -> Iterator[House]:
    made = House(tmp_path, new_warehouse, new_books)
    yield made
    made.close()


class Page:
    """The page in one session: its texts and its widgets."""

    def __init__(self, settings: PageSettings, clock: Callable[[], int], user: str = "") -> None:
        self.user, self.session_s = user, clock() // 1000
        current.install(settings, clock, lambda: session_cookie(settings.key, self.user, self.session_s))
        self.at = AppTest.from_file(str(PAGE), default_timeout=30)

    def open(self, path: str, **query: str) -> Page:
        """Go to a page, as a person who types its address."""
        self.at._page_hash = calc_hash("" if path == PAGES[0].path else path)
        for name, value in query.items():
            self.at.query_params[name] = value
        return self.run()

    def run(self) -> Page:
        """Draw it; while an answer is on its way again, as a browser does each second."""
        for _ in range(60):
            self.at.run()
            assert not self.at.exception, self.at.exception
            if ": being read." not in self.html:
                break
            time.sleep(0.3)
        return self

    def refreshed(self) -> Page:
        """The page after all queries have run again."""
        known = current.sources()
        known.forget()
        for polled in (known._directory, known._totals, known._lag, known._parts, *known._traffic.values(), *known._books.values()):
            polled.renew(15)
        return self.run()

    @property
    def html(self) -> str:
        return "\n".join(element.proto.body for element in self.at.get("html") if not element.proto.body.startswith("<style>"))

    @property
    def text(self) -> str:
        """The text without tags."""
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", self.html))

    def labels(self) -> list[str]:
        return [button.label for button in self.at.button]

    def fill(self, form: str, name: str = "", token: str = "", why: str = "") -> None:
        for key, value in ((f"{form}_name", name), (f"{form}_token", token), ("rf_why", why)):
            if value:
                self.at.text_input(key=key).set_value(value)

    def press(self, key: str) -> Page:
        self.at.button(key=key).click()
        return self.run()


@pytest.fixture
def page(house: House) -> Iterator[Callable[..., Page]]:
    """`page()` opens it; arguments replace its settings and its clock."""
    yield lambda clock=wall_clock_ms, user="", **other: Page(house.settings(**other), clock, user).run()
    current.close()


class Answering:
    """A part whose answers to /health and /ready the test sets."""

    def __init__(self) -> None:
        self.alive, self.why = True, ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                good = outer.alive if self.path == "/health" else not outer.why
                body = json.dumps({"ready": good} | ({} if good else {"why": outer.why})).encode()
                self.send_response(200 if good else 503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """No log."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def part() -> Iterator[Callable[[], Answering]]:
    made: list[Answering] = []

    def make() -> Answering:
        made.append(Answering())
        return made[-1]

    yield make
    for one in made:
        one.close()
