"""A simulated switch: the tables and rules of `kamailio.cfg`, without the telephony.

The simulator places its calls through it, and tests deliver orders to it. Which calls are admitted: `core.admission`.

>>> switch = Loopback(clock=lambda: 1000.0)
>>> switch.apply([Change("blocks", "t1|A|acme||882", "order-1", 60), Change("protected", "112", "emergency", 0)])
>>> switch.lookup("t1", "acme", "", "4318123", "88213000"), switch.lookup("t1", "acme", "", "4318123", "43512345")
('order-1', '')
>>> switch.lookup("t1", "acme", "", "4318123", "112"), switch.lookup("t1", "other", "", "49301234567", "4318123")
('', '')
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from books.deliveries import BLOCKS, LISTS, SHADOW, TABLES
from core.admission import Admission, Invite, Rates, admit, in_force
from core.numbers import DialPlan
from switches.control import (
    FENCE_HEADER,
    TIMEOUT_S,
    TOKEN_HEADER,
    Change,
    Connection,
    ControlError,
    DesiredRow,
    Drift,
    Fenced,
    Unreachable,
    drift,
)
from switches.gate import Background, Gate, bound

CALLBACK_S = 2 * 3600
"""How long a line that has called an emergency number can be called back, and can call numbers of its country."""

SWEEP_S = 5.0
"""Between two removals of expired entries."""

MAX_LINES = 100_000

T = TypeVar("T")


class State(NamedTuple):
    """The answer to `GET /state`."""

    boot: str
    hold: bool


class Verdict(NamedTuple):
    """Whether a call is refused, and `order_id` as its record has it (`shadow:<id>` where it would have been refused)."""

    refused: bool
    order_id: str


class _Item(NamedTuple):
    value: str
    ends_s: float | None


class Loopback:
    """The tables and the rules. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.time, emergency: tuple[str, ...] = ()) -> None:
        self._clock = clock
        self._emergency = frozenset(emergency)  # besides those of the dial plan
        self.plan = DialPlan()  # of calls without one; its emergency numbers pass also before any dispatcher has delivered
        self._lock = threading.RLock()
        self._after: dict[str, float] = {}  # lines that an emergency call has opened -> until when
        self._fence = 0
        self.held = False
        self._rates = Rates(clock)
        self.trouble = ""  # for tests: "hang", "nonsense" or "error"
        self.boot = ""
        self._sweep_at_s = 0.0
        self.tables: dict[str, dict[str, _Item]] = {table: {} for table in TABLES}
        self.restart()

    # --- a call ---

    def lookup(self, tenant: str, account: str, trunk: str, a_number: str, b_number: str) -> str:
        """The order that refuses this call, or "" where it passes."""
        verdict = self.verdict(tenant, account, trunk, a_number, b_number)
        return verdict.order_id if verdict.refused else ""

    def verdict(self, tenant: str, account: str, trunk: str, a_number: str, b_number: str) -> Verdict:
        """The verdict on a call of a trunk that accepts unreadable numbers."""
        found = self.admit(Invite(tenant, account, trunk, a_number, b_number, accept_unreadable=True), self.plan)
        return Verdict(found.code != 0, found.order_id)

    def admit(self, invite: Invite, plan: DialPlan) -> Admission:
        """Admits or refuses a call; an emergency call opens its line for `CALLBACK_S`."""
        now_s = self._clock()
        with self._lock:
            found = admit(invite, plan, lambda table, key: self._value(table, key, now_s), held=self.held, emergency=self._emergency,
                          over=self._rates.over)
            if len(self._after) >= MAX_LINES:
                self._after = {name: until for name, until in self._after.items() if until > now_s}
            if len(self._after) < MAX_LINES:
                self._after.update(dict.fromkeys(found.opens, now_s + CALLBACK_S))
        return found

    def _value(self, table: str, key: str, now_s: float) -> str:
        if table == "after":
            return "1" if self._after.get(key, 0.0) > now_s else ""
        item = self.tables[table].get(key)
        if table == LISTS:
            return item.value if item and in_force(item.value, now_s) else ""
        return item.value if item and (item.ends_s is None or item.ends_s > now_s) else ""

    def live(self, table: str = BLOCKS) -> dict[str, str]:
        """Entries of a table that have not expired: entry -> order id."""
        now_s = self._clock()
        with self._lock:
            return {k: i.value for k, i in self.tables[table].items() if i.ends_s is None or i.ends_s > now_s}

    # --- control port ---

    def apply(self, changes: Sequence[Change], fence: int = 0) -> None:
        """As `ringfence.set` of Kamailio: all changes, or none where one is invalid; a fence below the highest is refused."""
        with self._lock:
            if not all(_is_valid(change) for change in changes):
                raise ControlError("invalid changes")
            self._take_fence(fence)
            self._sweep()
            for table, name, value, ttl_s in changes:
                if not value:
                    self.tables[table].pop(name, None)
                else:  # whole seconds, as Kamailio counts
                    self.tables[table][name] = _Item(value, self._clock() // 1 + ttl_s + 1 if ttl_s else None)

    def _sweep(self) -> None:
        now_s = self._clock()
        if now_s >= self._sweep_at_s:
            self._sweep_at_s = now_s + SWEEP_S
            self.tables |= {table: {k: i for k, i in self.tables[table].items() if (i.ends_s or 0) > now_s} for table in (BLOCKS, SHADOW)}

    def _take_fence(self, fence: int) -> None:
        """A command without a fence comes from a person."""
        if fence and fence < self._fence:
            raise Fenced(f"fence {fence} is older than {self._fence}")
        self._fence = max(fence, self._fence)

    def set_hold(self, on: bool) -> None:
        self.held = on

    def restart(self) -> None:
        """As after a crash: blocks and opened lines are lost; the hold flag, the highest fence and the tables that do not expire are not."""
        with self._lock:
            self.boot = f"{self._clock():.6f}-{secrets.token_hex(3)}"
            self.tables |= {BLOCKS: {}, SHADOW: {}}
            self._after.clear()

    def serve(self, port: int = 0, token: str = "") -> Served:
        """Answers `LoopbackControl` on 127.0.0.1 in a thread. Port 0 = any free one."""
        return Served(self, port, token)


def _is_valid(change: Change) -> bool:
    """As `changes_of` in many.lua: of a known table, and no block without an end."""
    table, name, value, ttl_s = change
    return table in TABLES and bool(name) and ttl_s >= 0 and (not value or (ttl_s > 0) == (table in (BLOCKS, SHADOW)))


class LoopbackControl:
    """The driver of `switches.control` for it: plain JSON over HTTP; a comparison reads the whole table."""

    def __init__(self, url: str, token: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self.fence = 0
        self._connection = Connection(url, token, timeout_s)

    def close(self) -> None:
        self._connection.close()

    def identity(self) -> str:
        return self._ask("GET", "/state", State).boot

    def hold(self) -> bool:
        return self._ask("GET", "/state", State).hold

    def set_hold(self, on: bool) -> None:
        self._ask("PUT", "/hold", State, on)

    def apply(self, changes: Sequence[Change]) -> None:
        if changes:
            self._ask("POST", "/changes", State, changes)

    def entries(self, table: str) -> dict[str, str]:
        return self._ask("GET", f"/tables/{table}", dict[str, str])

    def compare(self, table: str, rows: Mapping[str, DesiredRow]) -> Drift:
        return drift(self.entries(table), rows)

    def _ask(self, method: str, path: str, answer: type[T], body: object = None) -> T:
        text = self._connection.ask(f"{method} {path}", method, path, msgspec.json.encode(body), self.fence)
        try:
            return msgspec.json.decode(text, type=answer)
        except msgspec.DecodeError as error:
            raise Unreachable(f"{method} {path}: the answer cannot be read: {error}") from error


class Served(Background):
    """A switch that listens; `url` is its control address in the books. `close()` stops it."""

    def __init__(self, switch: Loopback, port: int, token: str) -> None:
        self.switch = switch
        closing, listener = threading.Event(), bound("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/RPC"  # as `ringfence.settings` writes it for each of our switches
        super().__init__("loopback-switch", _app(switch, token, closing), Gate(), listener, closing)


def _app(switch: Loopback, token: str, closing: threading.Event) -> Starlette:
    async def answer(request: Request) -> Response:
        while switch.trouble == "hang" and not closing.is_set():
            await asyncio.sleep(0.05)
        if switch.trouble == "nonsense":
            return Response(b"<html>")
        if switch.trouble:
            return Response(switch.trouble, 500)
        if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), token.encode()):
            return Response(b"a token is needed", 403)
        fence = request.headers.get(FENCE_HEADER, "")
        body = await request.body()
        try:
            match request.method, request.path_params.get("table"):
                case "POST", None:
                    switch.apply(msgspec.json.decode(body, type=list[Change]), int(fence) if fence.isascii() and fence.isdigit() else 0)
                case "PUT", None:
                    switch.set_hold(msgspec.json.decode(body, type=bool))
                case _, str(name):
                    found = switch.live(name) if name in switch.tables else None
                    return Response(msgspec.json.encode(found)) if found is not None else Response(b"no such table", 400)
        except Fenced as error:
            return Response(str(error), 409)
        except (ControlError, msgspec.DecodeError) as error:
            return Response(str(error), 400)
        return Response(msgspec.json.encode(State(switch.boot, switch.held)))

    routes = [Route("/state", answer), Route("/hold", answer, methods=["PUT"]), Route("/changes", answer, methods=["POST"])]
    return Starlette(routes=[Mount("/RPC", routes=[*routes, Route("/tables/{table}", answer)])])
