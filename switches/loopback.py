"""A switch of our own, in process: the block tables, rules and JSON-RPC of `kamailio.cfg`, without the telephony.

The simulator's calls ask it, tests drive the dispatcher against it. Who is let in: `core.admission`.

>>> switch = Loopback(clock=lambda: 1000.0)
>>> _ = switch.rpc("htable.setxs", ["blocks", "t1|A|acme||882", "order-1", 60])
>>> _ = switch.rpc("htable.sets", ["protected", "112", "emergency"])
>>> switch.lookup("t1", "acme", "", "4318123", "88213000"), switch.lookup("t1", "acme", "", "4318123", "43512345")
('order-1', '')
>>> switch.lookup("t1", "acme", "", "4318123", "112"), switch.lookup("t1", "other", "", "49301234567", "4318123")
('', '')
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import msgspec

from core.admission import Admission, Asked, admit
from core.numbers import DialPlan
from core.safety import MAX_TTL_MS
from switches.control import BLOCKS, CTL, FENCE_HEADER, PROTECTED, SHADOW, TOKEN_HEADER
from switches.digest import digest, mark, spell

CALLBACK_S = 2 * 3600
"""How long a line that has called an emergency number can be called back, and call on in its country."""

AUTOEXPIRE_S = MAX_TTL_MS // 1000
"""Of the block tables, as in `kamailio.cfg`: an entry set without a life would end after it."""

MAX_BODY_BYTES = 64 * 1024
MAX_LINES = 100_000


class RpcError(Exception):
    """As the switch answers it: a code and a word."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Verdict(NamedTuple):
    """What becomes of a call: `order_id` as its record carries it (`shadow:<id>` when it only would have been refused)."""

    refused: bool
    order_id: str


class _Item(NamedTuple):
    value: str | int
    ends_s: float | None


class Loopback:
    """The tables and the rules. `clock` gives seconds; `sweep_s`: expired entries are counted and dumped until they are swept."""

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        sweep_s: float = 0.0,
        plan: DialPlan = DialPlan(),
        emergency: tuple[str, ...] = (),
    ) -> None:
        self._clock = clock
        self._sweep_s = sweep_s
        self._emergency = frozenset(emergency)  # beside the dial plan's
        self.plan = plan  # of calls that name none; its emergency numbers pass whether or not a dispatcher has ever been here
        self._swept_s = 0.0
        self._lock = threading.RLock()
        self._after: dict[str, float] = {}  # what an emergency call has opened -> until when
        self._fence = 0
        self.commands = 0
        self.trouble = ""  # for tests: "hang", "nonsense" or "close"
        self.tables: dict[str, dict[str, _Item]] = {}
        self._start(hold=0)

    def restart(self) -> None:
        """As after a crash: blocks, versions and open lines are gone, the hold flag and the newest fence are not."""
        with self._lock:
            self._start(hold=int(self.held()))

    def _start(self, hold: int) -> None:
        boot = f"{self._clock():.6f}-{secrets.token_hex(3)}"
        self.tables = {BLOCKS: {}, SHADOW: {}, PROTECTED: {}, CTL: {}}
        self.tables[CTL] = {"boot": _Item(boot, None), "seq": _Item(0, None), "hold": _Item(hold, None)}
        if self._fence:
            self.tables[CTL]["fence"] = _Item(str(self._fence), None)
        self._after.clear()

    # --- a call ---

    def held(self) -> bool:
        return str(self.tables[CTL].get("hold", _Item(0, None)).value) not in ("", "0")

    def lookup(self, tenant: str, account: str, trunk: str, a_number: str, b_number: str) -> str:
        """The order that refuses this call, or "": it passes."""
        verdict = self.verdict(tenant, account, trunk, a_number, b_number)
        return verdict.order_id if verdict.refused else ""

    def verdict(self, tenant: str, account: str, trunk: str, a_number: str, b_number: str) -> Verdict:
        """What becomes of a call of a trunk that takes every number, with what its record says about it."""
        found = self.admit(Asked(tenant, account, trunk, a_number, b_number, accept_unreadable=True), self.plan)
        return Verdict(found.code != 0, found.order_id)

    def admit(self, asked: Asked, plan: DialPlan) -> Admission:
        """What becomes of a call; an emergency call opens its hours."""
        now_s = self._clock()
        with self._lock:
            found = admit(asked, plan, lambda table, key: self._value(table, key, now_s), held=self.held(), emergency=self._emergency)
            if len(self._after) >= MAX_LINES:
                self._after = {name: until for name, until in self._after.items() if until > now_s}
            if len(self._after) < MAX_LINES:
                self._after.update(dict.fromkeys(found.opens, now_s + CALLBACK_S))
        return found

    def _value(self, table: str, key: str, now_s: float) -> str:
        if table == "after":
            return "1" if self._after.get(key, 0.0) > now_s else ""
        item = self.tables[table].get(key)
        return str(item.value) if item and (item.ends_s is None or item.ends_s > now_s) else ""

    def live(self, table: str = BLOCKS) -> dict[str, str]:
        """Entries of a table that have not expired: entry -> order id."""
        now_s = self._clock()
        with self._lock:
            return {k: str(i.value) for k, i in self.tables[table].items() if i.ends_s is None or i.ends_s > now_s}

    # --- its control ---

    def rpc(self, method: str, params: list[Any], fence: int = 0) -> Any:
        """One command. A fence lower than one heard before is refused for everything but the hold flag, which is a person's, as is
        a command without a fence."""
        with self._lock:
            self.commands += 1
            self._sweep()
            command = _COMMANDS.get(method)
            if command is None:
                raise RpcError(500, "Method Not Found")
            changes = method not in ("htable.get", "htable.stats", "htable.dump", "ringfence.digest", "ringfence.list")
            if changes and fence and params[:2] != [CTL, "hold"]:
                if fence < self._fence:
                    raise RpcError(409, f"fence {fence} is older than {self._fence}")
                self._fence = fence
                self.tables[CTL]["fence"] = _Item(str(fence), None)
            try:
                return command(self, *params)
            except TypeError:
                raise RpcError(400, "Invalid parameters") from None

    def _table(self, name: str) -> dict[str, _Item]:
        if name not in self.tables:
            raise RpcError(500, "No such htable")
        return self.tables[name]

    def _set_for(self, table: str, name: str, value: str, ttl_s: int) -> str:
        self._table(table)[name] = _Item(value, self._clock() // 1 + int(ttl_s) + 1)  # in whole seconds, as Kamailio counts
        return "Ok. Key set to new value."

    def _set(self, table: str, name: str, value: str | int) -> str:
        ends_s = self._clock() + AUTOEXPIRE_S if table in (BLOCKS, SHADOW) else None
        self._table(table)[name] = _Item(value, ends_s)
        return "Ok. Key set to new value."

    def _delete(self, table: str, name: str) -> str:
        if self._table(table).pop(name, None) is None:
            raise RpcError(404, "Key not found in htable.")
        return "Ok. Key deleted."

    def _get(self, table: str, name: str) -> dict[str, Any]:
        item = self._table(table).get(name)
        if item is None or (item.ends_s is not None and item.ends_s <= self._clock()):
            raise RpcError(500, "Key name doesn't exist in htable.")
        return {"item": {"name": name, "value": item.value, "flags": 0}}

    def _stats(self) -> list[dict[str, Any]]:
        return [{"name": name, "slots": 256, "all": len(items), "min": 0, "max": 1} for name, items in self.tables.items()]

    def _dump(self, table: str) -> list[dict[str, Any]]:
        return [
            {"entry": at, "size": 1, "slot": [{"name": name, "value": item.value, "type": "str"}]}
            for at, (name, item) in enumerate(self._table(table).items())
        ]

    def _set_many(self, *params: Any) -> int:
        changes = [params[at : at + 4] for at in range(0, len(params), 4)]
        if not changes or any(not _makes_sense(change) for change in changes):
            raise RpcError(400, "parameters that make no sense")
        for table, name, value, seconds in changes:
            if not value:
                self.tables[table].pop(name, None)
            elif seconds:
                self._set_for(table, name, value, seconds)
            else:
                self._set(table, name, value)
        return len(changes)

    def _digest(self, table: str) -> dict[str, Any]:
        items = self._table(table)
        return {"count": len(items), "marks": spell(digest((name, str(item.value)) for name, item in items.items()))}

    def _list(self, table: str, *buckets: str) -> list[str]:
        wanted = {int(bucket, 16) for bucket in buckets}
        held = [(name, str(item.value)) for name, item in self._table(table).items()]
        return [text.encode().decode("latin-1") for one in held if mark(*one)[0] in wanted for text in one]

    def _flush(self, table: str) -> str:
        self._table(table).clear()
        return "Ok. Htable flushed."

    def _sweep(self) -> None:
        now_s = self._clock()
        if now_s - self._swept_s < self._sweep_s:
            return
        self._swept_s = now_s
        for table in (BLOCKS, SHADOW):
            for name in [n for n, i in self.tables[table].items() if i.ends_s is not None and i.ends_s <= now_s]:
                del self.tables[table][name]

    def serve(self, port: int = 0, token: str = "") -> Served:
        """Answers JSON-RPC on loopback in a thread. Port 0 = any free one."""
        return Served(self, port, token)


def _makes_sense(change: tuple[Any, ...]) -> bool:
    """As `changes_of` in many.lua: whole changes, only of our tables, and no block without an end."""
    if len(change) != 4 or change[0] not in (BLOCKS, SHADOW, PROTECTED) or not change[1]:
        return False
    _, _, value, seconds = change
    return isinstance(seconds, int) and seconds >= 0 and (not value or (seconds > 0) == (change[0] != PROTECTED))


_COMMANDS: dict[str, Callable[..., Any]] = {
    "ringfence.set": Loopback._set_many,
    "ringfence.digest": Loopback._digest,
    "ringfence.list": Loopback._list,
    "htable.setxs": Loopback._set_for,
    "htable.sets": Loopback._set,
    "htable.seti": Loopback._set,
    "htable.delete": Loopback._delete,
    "htable.get": Loopback._get,
    "htable.stats": Loopback._stats,
    "htable.dump": Loopback._dump,
    "htable.flush": Loopback._flush,
}


class Served:
    """A switch that listens; `url` is what the books keep of it. `close()` stops it."""

    def __init__(self, switch: Loopback, port: int, token: str) -> None:
        self.switch = switch
        self._server = _Server(("127.0.0.1", port), _handler(switch, token))
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/RPC"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="loopback-switch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.closing = threading.Event()
        super().__init__(address, handler)


def _handler(switch: Loopback, token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one write an answer: two would wait for each other's acknowledgement
        server: _Server

        def do_POST(self) -> None:
            if self.server.closing.is_set() or switch.trouble == "close":
                self.close_connection = True
                return
            if switch.trouble == "hang":
                self.server.closing.wait(30)
                self.close_connection = True
                return
            length = int(self.headers.get("Content-Length") or 0)
            if length > MAX_BODY_BYTES:
                self._answer(413, b"too long")
                return
            body = self.rfile.read(length)
            if token and not secrets.compare_digest(self.headers.get(TOKEN_HEADER, "").encode(), token.encode()):
                self._answer(403, b"forbidden")
                return
            if switch.trouble == "nonsense":
                self._answer(200, b"<html>\x00\xff nonsense")
                return
            self._answer(*_reply(switch, body, int(self.headers.get(FENCE_HEADER) or 0)))

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, format: str, *args: Any) -> None:
            """Calls are not worth a line each."""

    return Handler


def _reply(switch: Loopback, body: bytes, fence: int) -> tuple[int, bytes]:
    try:
        call = msgspec.json.decode(body)
        method, params, number = str(call["method"]), list(call.get("params") or []), call.get("id")
    except (msgspec.DecodeError, ValueError, KeyError, TypeError, AttributeError):
        return 400, b"not a JSON-RPC call"
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": number}
    try:
        answer["result"] = switch.rpc(method, params, fence)
    except RpcError as error:
        if error.code == 409 or (error.code == 400 and method.startswith("ringfence.")):
            return error.code, str(error).encode()
        answer["error"] = {"code": error.code, "message": str(error)}
    return 200, msgspec.json.encode(answer)
