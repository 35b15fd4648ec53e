"""Real calls for the tests: SIPp on both sides of a Kamailio on loopback, and the records that it writes.

A scenario is a list of steps; each helper returns the XML of one step.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from ports import free_port
from until import until

from books.deliveries import CARRIERS, DIAL_PLANS, PROTECTED, SOURCES
from core.numbers import DialPlan
from switches import desired
from switches.control import Change
from switches.desired import Carrier
from switches.kamailio.control import KamailioControl
from switches.kamailio.process import Running, start
from switches.kamailio.settings import Settings

ACME, BLUE, STRANGER = "127.0.0.2", "127.0.0.3", "127.0.0.9"
TOKEN = "test-token"


# --- scenarios ---

VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]"
VIA_OF_INVITE = VIA.replace("[branch]", "z9hG4bK-[pid]-[call_number]-invite")  # CANCEL's and ACK's too
TO_CALLEE = "To: <sip:[service]@[remote_ip]:[remote_port]>"


def sdp_of(direction: str = "sendrecv") -> str:
    return (
        "v=0\no=- 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\nm=audio 9000 RTP/AVP 8\na=rtpmap:8 PCMA/8000\n"
        f"a={direction}\n"
    )


def _cdata(text: str) -> str:
    return f"<![CDATA[\n{text}\n]]>"


def _request(
    method: str, target: str, cseq: int, *, to: str, extra: str = "", body: str = "", from_user: str = "", via: str = VIA
) -> str:
    content = f"Content-Type: application/sdp\nContent-Length: [len]\n\n{body}" if body else "Content-Length: 0\n"
    name = from_user or "[caller]"
    return (
        f"{method} {target} SIP/2.0\n{via}\nMax-Forwards: 70\n{extra}"
        f"From: <sip:{name}@[local_ip]:[local_port]>;tag=[pid]T[call_number]\n{to}\nCall-ID: [call_id]\nCSeq: {cseq} {method}\n"
        f"Contact: <sip:caller@[local_ip]:[local_port]>\nUser-Agent: SIPp\n{content}"
    )


def _send(text: str, retrans: bool) -> str:
    return ('<send retrans="500">' if retrans else "<send>") + _cdata(text) + "</send>"


def invite(extra: str = "", from_user: str = "") -> str:
    text = _request("INVITE", "sip:[service]@[remote_ip]:[remote_port]", 1, to=TO_CALLEE, extra=extra,
                    body=sdp_of(), from_user=from_user, via=VIA_OF_INVITE)  # fmt: skip
    return _send(text, True)


def expect(code: int, *, optional: bool = False, rrs: bool = False) -> str:
    flags = (' optional="true"' if optional else "") + (' rrs="true"' if rrs else "")
    return f'<recv response="{code}"{flags}/>'


def provisional() -> str:
    return "".join(expect(code, optional=True) for code in (100, 180, 183))


def in_call(method: str, cseq: int, *, body: str = "", retrans: bool = True, routes: bool = True) -> str:
    text = _request(
        method, "[next_url]", cseq, to=TO_CALLEE + "[peer_tag_param]", extra="[routes]\n" if routes else "", body=body
    )
    return _send(text, retrans)


def ack(cseq: int = 1) -> str:
    return in_call("ACK", cseq, retrans=False)


def ack_refusal() -> str:
    text = _request("ACK", "sip:[service]@[remote_ip]:[remote_port]", 1, to=TO_CALLEE + "[peer_tag_param]", via=VIA_OF_INVITE)
    return _send(text, False)


def cancel() -> str:
    text = _request("CANCEL", "sip:[service]@[remote_ip]:[remote_port]", 1, to=TO_CALLEE, via=VIA_OF_INVITE)
    return _send(text, True)


def pause(ms: int) -> str:
    return f'<pause milliseconds="{ms}"/>'


def receive(method: str, *, optional: bool = False, timeout_ms: int = 0) -> str:
    flags = (' optional="true"' if optional else "") + (f' timeout="{timeout_ms}"' if timeout_ms else "")
    return f'<recv request="{method}" rrs="true"{flags}/>'


def answer(code: int, reason: str, *, media: bool = False, extra: str = "", retrans: bool = False) -> str:
    content = f"Content-Type: application/sdp\nContent-Length: [len]\n\n{sdp_of()}" if media else "Content-Length: 0\n"
    text = (
        f"SIP/2.0 {code} {reason}\n[last_Via:]\n[last_Record-Route:]\n[last_From:]\n[last_To:];tag=[pid]U[call_number]\n"
        f"[last_Call-ID:]\n[last_CSeq:]\nContact: <sip:callee@[local_ip]:[local_port]>\n{extra}{content}"
    )
    return _send(text, retrans)


def is_about(ms: float, paused_ms: int) -> bool:
    """Whether a time in the records is that of a pause of SIPp, which gets longer on a busy machine."""
    return -100 < ms - paused_ms < 10_000


def ok_in_call() -> str:
    """200 to a request inside the call: its To has the tag already."""
    text = (
        "SIP/2.0 200 OK\n[last_Via:]\n[last_Record-Route:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n"
        "Contact: <sip:me@[local_ip]:[local_port]>\nContent-Length: 0\n"
    )
    return _send(text, False)


def scenario(*steps: str) -> str:
    return '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="test">\n' + "\n".join(steps) + "\n</scenario>\n"


def talk(talk_ms: int = 300, **kwargs: str) -> str:
    """A caller who waits for the answer, talks and hangs up."""
    return scenario(invite(**kwargs), provisional(), expect(200, rrs=True), ack(), pause(talk_ms), in_call("BYE", 2), expect(200))


def refused(code: int = 603, **kwargs: str) -> str:
    """A caller who is refused."""
    return scenario(invite(**kwargs), provisional(), expect(code), ack_refusal())


def picks_up(ring_ms: int = 100) -> str:
    """A callee that rings, answers, and waits for the BYE."""
    return scenario(
        receive("INVITE"), answer(180, "Ringing"), pause(ring_ms), answer(200, "OK", media=True, retrans=True), receive("ACK"),
        receive("BYE"), ok_in_call(),
    )  # fmt: skip


def rejects(code: int, reason: str, extra: str = "") -> str:
    return scenario(receive("INVITE"), answer(code, reason, extra=extra), receive("ACK"))


# --- SIPp ---


@dataclass
class Sipp:
    """One SIPp."""

    process: subprocess.Popen[bytes]
    directory: Path

    def finish(self, timeout_s: float = 20) -> None:
        """Asserts that each step of each call was done."""
        code = self.process.wait(timeout_s)
        if code != 0:
            errors = "\n".join(path.read_text(errors="replace")[-3000:] for path in self.directory.glob("*errors*"))
            raise AssertionError(f"SIPp ended with {code}:\n{errors}")


@dataclass
class Bench:
    """A Kamailio under test with its SIPp processes."""

    running: Running
    directory: Path
    carrier_ports: list[int]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    count: int = 0

    @property
    def address(self) -> tuple[str, int]:
        """The SIP address of the switch."""
        return self.running.settings.listen, self.running.settings.sip_port

    # --- calls ---

    def _sipp(self, xml: str, address: str, port: int, *args: str) -> Sipp:
        self.count += 1
        directory = self.directory / f"sipp-{self.count}"
        directory.mkdir()
        (directory / "scenario.xml").write_text(xml)
        command = ["sipp", "-sf", "scenario.xml", "-i", address, "-p", str(port), "-nostdin", "-trace_err", *args]
        process = subprocess.Popen(
            command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "TERM": "dumb"}
        )
        self.started.append(process)
        return Sipp(process, directory)

    def callee(self, xml: str, carrier: int = 0, address: str = "127.0.0.1") -> Sipp:
        """A carrier for any number of calls."""
        sipp = self._sipp(xml, address, self.carrier_ports[carrier])
        until(lambda: _bound(self.carrier_ports[carrier]), 30, "SIPp's port")
        return sipp

    def caller(
        self, xml: str, number: str, *, source: str = ACME, caller: str = "4319990001", calls: int = 1, rate: float = 10,
        call_id: str = "", timeout_s: int = 30,
    ) -> Sipp:  # fmt: skip
        """A customer: so many calls from a source address."""
        args = ["{}:{}".format(*self.address), "-s", number, "-key", "caller", caller, "-m", str(calls)]
        args += ["-r", str(rate), "-timeout", f"{timeout_s}s", "-timeout_error"]
        if call_id:
            args += ["-cid_str", call_id]
        return self._sipp(xml, source, free_port(), *args)

    # --- what came of it ---

    def lines(self) -> list[bytes]:
        paths = sorted(self.running.settings.spool_dir.glob("rec-*.jl"))
        return [line for path in paths for line in path.read_bytes().split(b"\n") if line]

    def records(self, event: str = "", **where: Any) -> list[dict[str, Any]]:
        # Workers write side by side: the file's order is not the sequence's.
        rows = sorted((json.loads(line) for line in self.lines()), key=lambda r: (r["boot_id"], r["seq"]))
        return [r for r in rows if (not event or r["event"] == event) and all(r.get(k) == v for k, v in where.items())]

    def wait_for(self, event: str, count: int = 1, within_s: float = 5, **where: Any) -> list[dict[str, Any]]:
        until(lambda: len(self.records(event, **where)) >= count, within_s, f"{count} records {event} {where}")
        return self.records(event, **where)

    def brief(self) -> list[str]:
        return [f"{r['event']}:{r.get('b_raw', '')}:{r.get('sip_code', '')}" for r in self.records()]

    # --- control ---

    def post(self, method: str, *params: Any, token: str = TOKEN, headers: dict[str, str] | None = None) -> httpx2.Response:
        body = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1}
        sent = {"X-Ringfence-Token": token, **(headers or {})}
        return httpx2.post(self.running.control_url, json=body, headers=sent, timeout=5, trust_env=False)

    def control(self, fence: int = 0) -> KamailioControl:
        """The dispatcher's driver, for this switch."""
        made = KamailioControl(self.running.control_url, TOKEN)
        made.fence = fence
        return made

    def fill(self, table: str, rows: dict[str, str]) -> None:
        """Sets rows of a table whose rows do not expire, as the dispatcher does."""
        control = self.control()
        control.apply([Change(table, name, value, 0) for name, value in rows.items()])
        control.close()

    def block(self, key: str, order: str = "o-1", ttl_s: int = 60, table: str = "blocks") -> None:
        assert self.post("htable.setxs", table, key, order, ttl_s).status_code == 200

    def unblock(self, key: str) -> None:
        assert self.post("htable.delete", "blocks", key).status_code == 200

    # --- life ---

    def restart(self) -> None:
        """Kills Kamailio (SIGKILL) and starts it again with the same settings."""
        self.running.kill()
        self.running = start(self.running.settings)

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.running.stop()


def _bound(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def Source(network: str, *parts: str, **more: Any) -> tuple[str, str]:
    """Network and row of a source: `Source(ACME, "t1", "acme", "in-acme", max_call_s=2)`."""
    return str(ip_network(network)), msgspec.json.encode(desired.Source(*parts, **more)).decode()


def carrier_rows(carriers: Iterable[Carrier], *tenants: str) -> dict[str, str]:
    """The rows of carriers that all calls try in turn."""
    rows = [msgspec.json.encode(one).decode() for one in carriers]
    return {f"{tenant}|{number}": row for tenant in ("", *tenants) for number, row in enumerate(rows, 1)}


@contextmanager
def bench(
    directory: Path, *, carriers: int | tuple[Carrier, ...] = 1, ports: list[int] | None = None,
    sources: tuple[tuple[str, str], ...] = (Source(ACME, "t1", "acme", "in-acme"), Source(BLUE, "t1", "blue", "in-blue")),
    dial_plans: tuple[DialPlan, ...] = (DialPlan(),), protected: Iterable[str] = (), **changes: Any,
) -> Iterator[Bench]:  # fmt: skip
    """A switch with two customers by address (acme, blue) and so many carriers, each on a port of its own. `changes`: of its settings."""
    if isinstance(carriers, int):
        ports = [free_port() for _ in range(carriers)]
        carriers = tuple(Carrier(f"carrier-{n}", f"127.0.0.1:{port}", f"tg-{n}", f"out-{n}") for n, port in enumerate(ports, 1))
    settings = Settings(
        switch="k1",
        spool_dir=directory / "spool",
        run_dir=directory / "run",
        control_token=TOKEN,
        secret="a secret of the tests",
        sip_port=free_port(),
        control_port=free_port(),
        workers=2,
        shm_mb=64,
        answer_within_ms=1_000,
        bye_within_ms=1_000,
    )
    it = Bench(start(replace(settings, **changes)), directory, ports or [])
    try:
        it.fill(DIAL_PLANS, {plan.name: msgspec.json.encode(plan).decode() for plan in dial_plans})
        it.fill(SOURCES, dict(sources))
        it.fill(CARRIERS, carrier_rows(carriers, "t1"))
        it.fill(PROTECTED, dict.fromkeys(protected, "protected"))
        yield it
    finally:
        it.close()
