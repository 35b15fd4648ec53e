"""What ends a call: dialogs made by chance, by raw SIP, against an obviously right model.

The model: a call is up from its 200 until every fork that was confirmed has had a BYE that its other end took (2xx), or for which it has no
call (481, 408, no answer). Everything else ends nothing. The bill is the time from the answer to the last of those BYEs, as it was sent.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kamailio_calls import ACME, Bench
from raw_sip import Phone, Side, callee_side, caller_side, header, reply

pytestmark = [pytest.mark.kamailio, pytest.mark.slow]

DIALOGS, AT_ONCE = 500, 10

# What happens in a call: who sends it, what, and how the other end answers (0 = not at all).
ENDS = st.sampled_from([("BYE", 200), ("BYE", 202), ("BYE", 481), ("BYE", 408), ("BYE", 0), ("BYE elsewhere", 200), ("BYE no routes", 200)])
ENDS_NOTHING = st.sampled_from(
    [
        ("BYE", 400), ("BYE", 403), ("BYE", 500), ("BYE", 503), ("BYE", 483), ("BYE elsewhere", 500), ("BYE strange tag", 481),
        ("BYE strange tag", 200), ("BYE to the proxy", -1), ("BYE spent", -1), ("BYE strange call", -1), ("INVITE", 200), ("INVITE", 488),
        ("INVITE elsewhere", 200), ("INFO", 200), ("OPTIONS", 200), ("UPDATE", 200),
    ]
)  # fmt: skip
SIDES = st.sampled_from(["caller", "callee"])
BEGINNINGS = st.sampled_from(["plain", "plain", "fork, the first wins", "fork, the second wins", "cancelled too late"])
DIALOG = st.tuples(BEGINNINGS, st.lists(st.tuples(SIDES, ENDS_NOTHING), max_size=4), SIDES, ENDS)


class Carrier:
    """The carrier's end of all calls at once: one socket, and what came for each Call-ID."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self.came: dict[bytes, queue.Queue[bytes]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def of(self, call_id: str) -> queue.Queue[bytes]:
        return self.came.setdefault(call_id.encode(), queue.Queue())

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                message, _ = self.phone.receive(0.1)
            except TimeoutError:
                continue
            self.came.setdefault(header(message, "Call-ID")[0], queue.Queue()).put(message)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def carrier(port: int) -> Iterator[Carrier]:
    with Phone("127.0.0.1", port) as phone:
        it = Carrier(phone)
        try:
            yield it
        finally:
            it.close()


class Talk:
    """One dialog as it was played, and the records that the model expects."""

    def __init__(self, bench: Bench, at: Carrier, call_id: str) -> None:
        self.switch, self.carrier, self.call_id = bench.address, at, call_id
        self.caller_phone = Phone(ACME)
        self.cseq = {"caller": 10, "callee": 10}
        self.forks: dict[str, dict[str, Side]] = {}
        self.open: set[str] = set()
        self.answered_s = self.ended_s = 0.0

    # --- messages ---

    def at_callee(self, start: bytes, timeout_s: float = 3) -> bytes:
        end_s = time.monotonic() + timeout_s
        while True:
            message = self.carrier.of(self.call_id).get(timeout=max(0.01, end_s - time.monotonic()))
            if message.startswith(start):
                return message

    def from_callee(self, message: bytes) -> None:
        self.carrier.phone.send(message, self.switch)

    def side(self, name: str, fork: str) -> Side:
        return self.forks[fork][name]

    # --- the beginning ---

    def begin(self, how: str) -> str:
        """Sets the call up; returns the fork that is confirmed."""
        branch = self.call_id + "inv"
        self.caller_phone.send(
            self.caller_phone.invite("4312345678", to=self.switch, call_id=self.call_id, tag="a", branch=branch), self.switch
        )
        invite = self.at_callee(b"INVITE")
        self.from_callee(reply(invite, 180, "Ringing", tag="first"))
        self.caller_phone.wait_for(b"SIP/2.0 180")
        contact = f"Contact: <sip:callee@127.0.0.1:{self.carrier.phone.port}>\r\n".encode()
        if how == "cancelled too late":
            cancel = self.caller_phone.invite(
                "4312345678", to=self.switch, call_id=self.call_id, tag="a", branch=branch, method="CANCEL"
            ).replace(b"Contact:", b"X-No:")
            self.caller_phone.send(cancel, self.switch)
        self.answered_s = time.monotonic()
        self._answer(invite, "first", contact)
        if how.startswith("fork"):
            self._answer(invite, "second", contact)
            loser = "second" if "first wins" in how else "first"
            self.end("caller", "BYE", 200, loser)
            return "first" if loser == "second" else "second"
        return "first"

    def _answer(self, invite: bytes, tag: str, contact: bytes) -> None:
        self.from_callee(reply(invite, 200, "OK", tag=tag, headers=contact))
        while True:
            answered, _ = self.caller_phone.wait_for(b"SIP/2.0 200")
            if b"INVITE" in header(answered, "CSeq")[0] and b"tag=" + tag.encode() in header(answered, "To")[0]:
                break
        self.forks[tag] = {"caller": caller_side(self.caller_phone, answered), "callee": callee_side(self.carrier.phone, invite, tag)}
        self.open.add(tag)
        self.caller_phone.send(self.side("caller", tag).request("ACK", 1), self.switch)
        self.at_callee(b"ACK")

    # --- what happens in it ---

    def end(self, name: str, what: str, code: int, fork: str) -> None:
        """Sends a request, answers it, and updates the model."""
        self.cseq[name] += 1
        method, _, how = what.partition(" ")
        side = self.side(name, fork)
        request = side.request(method, self.cseq[name], routes=how not in ("no routes", "to the proxy"))
        host = f"{self.switch[0]}:{self.switch[1]}".encode()
        if how in ("elsewhere", "to the proxy"):
            target = b"sip:88213999999@127.0.0.1:9" if how == "elsewhere" else b"sip:" + host
            request = re.sub(rb"^(\w+) \S+", lambda m: m[1] + b" " + target, request)
        elif how == "strange tag":
            request = request.replace(b"To: " + side.to_value, re.sub(rb"tag=\S+", b"tag=strange", b"To: " + side.to_value))
        elif how == "strange call":
            request = request.replace(b"Call-ID: " + side.call_id, b"Call-ID: x" + side.call_id)
            request = re.sub(rb"Route: [^\r]*\r\n", b"", request)
        elif how == "spent":
            request = request.replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
        sent_s = time.monotonic()
        side.phone.send(request, self.switch)
        if code > 0:
            try:
                self._respond(name, method, code)
            except (queue.Empty, TimeoutError):
                raise AssertionError(f"the {method} of the {name} ({what}) in {self.call_id} did not come to the other end") from None
        taken = method == "BYE" and how not in ("strange tag", "to the proxy", "strange call", "spent")
        if taken and (code in (0, 408, 481) or 200 <= code < 300):
            self.open.discard(fork)
            if not self.open:
                self.ended_s = sent_s

    def _respond(self, name: str, method: str, code: int) -> None:
        start = method.encode() + b" "
        if name == "caller":
            arrived = self.at_callee(start)
            send = self.from_callee
        else:
            arrived, _ = self.caller_phone.wait_for(start, 3)
            send = lambda message: self.caller_phone.send(message, self.switch)  # noqa: E731
        port = self.carrier.phone.port if name == "caller" else self.caller_phone.port
        address = "127.0.0.1" if name == "caller" else ACME
        contact = f"Contact: <sip:end@{address}:{port}>\r\n".encode() if code < 300 and method in ("INVITE", "UPDATE") else b""
        send(reply(arrived, code, "Said", headers=contact))
        if method == "INVITE":
            ack = self.side(name, next(iter(self.open))).request("ACK", self.cseq[name])
            if code < 300:
                self.side(name, next(iter(self.open))).phone.send(ack, self.switch)

    def close(self) -> None:
        self.caller_phone.sock.close()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, need: Callable[[str], None]) -> Iterator[tuple[Bench, Carrier, list[int]]]:
    from kamailio_calls import bench as new_bench

    need("kamailio")
    with new_bench(tmp_path_factory.mktemp("dialogs"), workers=4, max_invites_per_s=5000) as bench, carrier(bench.carrier_ports[0]) as at:
        yield bench, at, [0]


@settings(
    max_examples=DIALOGS // AT_ONCE, deadline=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(DIALOG, min_size=AT_ONCE, max_size=AT_ONCE))
def test_every_dialog_is_billed_as_the_model_says(played: tuple[Bench, Carrier, list[int]], dialogs: list[object]) -> None:
    bench, at, count = played
    count[0] += 1

    def play(number: int) -> tuple[str, object, float]:
        beginning, between, side, (what, code) = dialogs[number]  # type: ignore[misc]
        talk = Talk(bench, at, f"d{count[0]}x{number}")
        try:
            fork = talk.begin(beginning)
            for name, (event, answer) in between:
                time.sleep(0.02)
                talk.end(name, event, answer, fork)
            time.sleep(0.05)
            # A peer that drops its routes is known by the first answer's tags alone.
            talk.end(side, "BYE" if what == "BYE no routes" and fork == "second" else what, code, fork)
            return talk.call_id, dialogs[number], talk.ended_s - talk.answered_s
        finally:
            talk.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(play, range(AT_ONCE)))
    for call_id, dialog, lasted_s in results:
        bench.wait_for("stop", 1, within_s=8, call_id=call_id, account="acme")
        stops = bench.records("stop", call_id=call_id, account="acme")  # a BYE that names no call of ours is nobody's stop
        assert len(stops) == 1, (dialog, stops)
        (stop,) = stops
        billed_s = (stop["end_ms"] - stop["answer_ms"]) / 1000
        assert abs(billed_s - lasted_s) < 10, (dialog, billed_s, lasted_s)
