"""One call: planned as a whole when it is created, then reported as events while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from simulator.countries import COUNTRIES
from simulator.shape import talk_ms
from simulator.world import EMERGENCY, Caller, Contact, Subscriber, World, new_contact, pick_contact, write_number

LEGITIMATE, LOOK_ALIKE, ATTACK = "legitimate", "look-alike", "attack"
"""Why a call is made: in the truth only, never in a record."""

INTERIM_MS = 300_000  # between interim records of an active call
PART_MS = 900_000  # length of a slice, where long calls are written in slices
KEEP_ALIVE_MS = 44_000  # until a switch detects that the other end is gone


class Attempt(NamedTuple):
    """A route attempt and its end (`sip_code` 200 = answered)."""

    carrier: str
    trunk_group: str
    egress_trunk: str
    sent_number: str
    sip_code: int
    q850: int
    pdd_ms: int


@dataclass(slots=True, eq=False)
class Call:
    """A call and its planned course. `ring_ms` and `talk_ms` are durations; `talk_ms` None = not answered."""

    at_ms: int
    why: str
    tenant: str
    switch: str
    account: str
    trunk: str
    a_number: str  # E.164 digits after the dial plan, "" = withheld or no number
    b_number: str
    facts: dict[str, Any]  # the fields of all its records
    attempts: list[Attempt]
    ring_ms: int
    talk_ms: int | None
    end: tuple[int, int, str, str]  # sip_code, q850, text, side
    early_media: bool = False
    lost_stop: str = ""  # "" | "hung" (the switch detects it later) | "never"
    second_stop_ms: int = 0
    parts: bool = False
    reused_call_id: bool = False
    boot_id: str = ""  # of its setup, set by the switch
    order_id: str = ""  # of the order that refused it, or would have refused it ("shadow:<id>")
    refused: bool = False
    answered_ms: int = 0  # set when it is answered
    route: dict[str, Any] = field(default_factory=dict)


def answer_ms(call: Call) -> int:
    """The time of its answer by the true clock, if it is answered."""
    return call.at_ms + sum(one.pdd_ms for one in call.attempts) + call.ring_ms


def reported_ms(call: Call) -> int:
    """Its duration by its stop: until it was detected as hung; 0 if no stop is ever written."""
    if call.talk_ms is None or call.lost_stop == "never":
        return 0
    return call.talk_ms + (KEEP_ALIVE_MS if call.lost_stop else 0)


ANSWERED = (200, 16, "Normal call clearing", "caller")
UNANSWERED = (
    # weight, sip_code, q850, text, side, rings first
    (40, 487, 19, "Request Terminated", "caller", True),
    (24, 486, 17, "User busy", "callee", False),
    (16, 480, 18, "No user responding", "callee", True),
    (12, 404, 1, "Unallocated number", "callee", False),
    (5, 603, 21, "Call rejected", "callee", True),
    (3, 484, 28, "Invalid number format", "callee", False),
)
ROUTE_FAILURES = ((46, 503, 34, 180), (26, 503, 38, 260), (14, 500, 41, 320), (8, 502, 27, 400), (6, 408, 102, 5000))
"""Weight, sip_code, q850, delay in ms: the failures after which a switch tries the next carrier."""
ROUTE_FAILS = 0.16


def plan(
    rng: Random, world: World, one: Subscriber, caller: Caller, contact: Contact, at_ms: int, *,
    why: str = LEGITIMATE, median_s: float | None = None, answered: float | None = None, talk: int | None = None, ip: str = "",
    user_agent: str = "",
) -> Call:  # fmt: skip
    """A call of a subscriber. Parameters that are not set (talk time, share of answers, address) follow its habits."""
    attempts, routed = _attempts(rng, world, one, contact)
    if answered is None:
        answered = COUNTRIES[contact.region].answered if contact.region else 0.55
        if one.habit == "callcentre":
            answered *= 0.6
    ends = routed and rng.random() < answered
    ring_ms = int(min(rng.lognormvariate(8.6, 0.7), 45_000))
    facts = _facts(rng, one, caller, contact.number, ip or rng.choice(one.ips), user_agent or one.user_agent)
    call = Call(
        at_ms=at_ms, why=why, tenant=one.tenant, switch=one.switch, account=one.name, trunk=one.trunk,
        a_number=caller.number if facts["a_raw"][-1:].isdigit() else "",
        b_number=contact.number, facts=facts, attempts=attempts, ring_ms=ring_ms,
        talk_ms=(talk if talk is not None else talk_ms(rng, median_s or one.median_s)) if ends else None, end=ANSWERED,
    )  # fmt: skip
    if ends:
        call.end = call.end if rng.random() < 0.62 else (200, 16, "Normal call clearing", "callee")
    elif routed:
        _, code, q850, text, side, rings = rng.choices(UNANSWERED, [share for share, *_ in UNANSWERED])[0]
        call.end = (code, q850, text, side)
        call.attempts[-1] = call.attempts[-1]._replace(sip_code=code, q850=q850)
        if not rings:
            call.ring_ms = 0
        elif rng.random() < 0.1:
            call.early_media, call.ring_ms = True, call.ring_ms + 8000
    else:
        call.end, call.ring_ms = (500, attempts[-1].q850, "Server error", "switch"), 0
    return call


def _attempts(rng: Random, world: World, one: Subscriber, contact: Contact) -> tuple[list[Attempt], bool]:
    """The attempts, and whether one of the carriers accepted the call."""
    found: list[Attempt] = []
    for carrier, group, trunk, prefix in rng.sample(world.routes[one.tenant], 3):
        fails = rng.random() < ROUTE_FAILS
        code, q850, pdd_ms = 200, 16, int(rng.lognormvariate(7.2, 0.5))
        if fails:
            _, code, q850, base = rng.choices(ROUTE_FAILURES, [share for share, *_ in ROUTE_FAILURES])[0]
            pdd_ms = int(base * rng.uniform(0.8, 1.2)) if code != 408 else 5000
        found.append(Attempt(carrier, group, trunk, prefix + contact.number, code, q850, pdd_ms))
        if not fails:
            return found, True
    return found, False


def _facts(rng: Random, one: Subscriber, caller: Caller, b_number: str, ip: str, user_agent: str) -> dict[str, Any]:
    a_raw = write_number(caller.number, one.dial_plan, one.spelling)
    facts = {
        "tenant": one.tenant,
        "dialog_id": f"{rng.getrandbits(12)}:{rng.getrandbits(31)}",
        "call_id": f"{rng.getrandbits(64):016x}@{ip}",
        "from_tag": f"as{rng.getrandbits(32):08x}",
        "account": one.name,
        "auth": one.auth,
        "ingress_trunk": one.trunk,
        "src_ip": ip,
        "user_agent": user_agent,
        "a_raw": a_raw,
        "b_raw": write_number(b_number, one.dial_plan, one.spelling, one.tech),
        "from_raw": f"sip:{a_raw}@{ip}",
        "pai": f"sip:+{caller.number}@{one.trunk}",
    }
    draw = rng.random()
    if draw < one.withheld:
        facts |= {"a_raw": "anonymous", "from_raw": "sip:anonymous@anonymous.invalid"}
        if rng.random() < 0.5:
            del facts["pai"]
    elif one.alpha and draw > 0.6:
        facts |= {"a_raw": one.alpha, "from_raw": f'"{one.alpha}" <sip:{one.alpha.replace(" ", "")}@{ip}>'}
    elif draw > 0.98 and one.habit in ("office", "home"):  # forwarded: an external caller
        facts["diversion"] = f"<sip:+{caller.number}@{one.trunk}>;reason=unconditional"
    if one.region == "US":
        facts["attestation"] = rng.choices(("A", "B", "C"), (7, 2, 1))[0]
        if b_number.startswith("1") and rng.random() < 0.2:
            facts["lrn"] = b_number[:7] + "0000"
    return facts


def honest_call(rng: Random, world: World, one: Subscriber, at_ms: int, why: str = LEGITIMATE) -> Call:
    """A legitimate call of a subscriber to a contact, with the usual faults."""
    callers = one.callers
    caller = callers[int(len(callers) * rng.random() ** 1.5)]
    if rng.random() < 0.0004:
        return _emergency(rng, world, one, caller, at_ms)
    contact = new_contact(rng, one) if one.habit == "callcentre" else pick_contact(rng, one, caller)
    return add_faults(rng, plan(rng, world, one, caller, contact, at_ms, why=why))


def _emergency(rng: Random, world: World, one: Subscriber, caller: Caller, at_ms: int) -> Call:
    digits = EMERGENCY[one.region]
    call = plan(rng, world, one, caller, Contact(digits, one.region, "emergency"), at_ms, answered=0.98, median_s=90)
    call.facts |= {"b_raw": digits}
    call.facts.pop("lrn", None)
    return call


LOST_STOP, NEVER_STOPS, SECOND_STOP, REUSED_CALL_ID = 0.004, 0.3, 0.002, 0.003
"""Shares: answered calls whose BYE is lost; of these, calls that never end; stops written twice; reused Call-IDs."""


def add_faults(rng: Random, call: Call) -> Call:
    """Add signalling faults to a call, alike for legitimate and attack calls."""
    if call.talk_ms is None:
        return call
    draw = rng.random()
    if draw < LOST_STOP:
        call.lost_stop = "never" if rng.random() < NEVER_STOPS else "hung"
    elif draw < LOST_STOP + SECOND_STOP:
        call.second_stop_ms = rng.randint(500, 4000)
    return call


class Event(NamedTuple):
    """An event of a call, `at_ms` by the true clock. `gone`: the call ends without a record."""

    at_ms: int
    event: str
    fields: dict[str, Any]


def events(call: Call, skew_ms: int) -> Iterator[Event]:
    """The events after the setup of an admitted call. Times in the fields are by the switch's clock: true + `skew_ms`."""
    now = call.at_ms
    times: dict[str, Any] = {"setup_ms": now + skew_ms}
    last = len(call.attempts)
    for no, attempt in enumerate(call.attempts, 1):
        route = {
            "attempt_no": no, "carrier": attempt.carrier, "trunk_group": attempt.trunk_group,
            "egress_trunk": attempt.egress_trunk, "sent_number": attempt.sent_number,
        }  # fmt: skip
        failed = {"sip_code": attempt.sip_code, "q850": attempt.q850}
        route["pdd_ms"] = attempt.pdd_ms
        now += attempt.pdd_ms
        if call.ring_ms and no == last:
            times["ringing_ms"] = now + skew_ms
            media = {"sip_code": 183} if call.early_media else {"sip_code": 180}
            yield Event(now, "early_media" if call.early_media else "ringing", route | times | media)
            now += call.ring_ms
        if attempt.sip_code != 200:
            yield Event(now, "attempt", route | times | failed | {"end_ms": now + skew_ms})
    code, q850, text, side = call.end
    why = {"sip_code": code, "q850": q850, "release_cause_text": text, "release_side": side}
    if call.talk_ms is None:
        # A stop also names the last route; there was no talk.
        yield Event(now + 2, "stop", route | times | why | {"end_ms": now + 2 + skew_ms})
        return
    answer = now
    times["answer_ms"] = answer + skew_ms
    yield Event(answer, "answer", route | times | {"sip_code": 200})
    end = answer + call.talk_ms
    fields = route | times
    step = PART_MS if call.parts else INTERIM_MS
    part = 0  # slices count from 0, interims from 1
    while answer + step * (part + 1) < end:
        at = answer + step * (part + 1)
        if call.parts:
            yield Event(at, "partial", fields | {"part_no": part, "end_ms": at + skew_ms, "duration_ms": step})
        else:
            yield Event(at, "interim", fields | {"interim_no": part + 1, "duration_ms": step * (part + 1)})
        part += 1
    if call.lost_stop == "never":
        yield Event(end, "gone", {})
        return
    if call.lost_stop:
        # The switch detects by its keepalive, some time later, that the other end is gone; when the talk really ended is unknown.
        end += KEEP_ALIVE_MS
        why = {"sip_code": 408, "q850": 102, "release_cause_text": "Keep-alive failed", "release_side": "switch"}
        why["suspected_hung"] = True
    if call.parts and part:
        done = {"part_no": part, "last": True, "end_ms": end + skew_ms, "duration_ms": end - answer - step * part}
        yield Event(end, "partial", fields | why | done)
        return
    stop = fields | why | {"end_ms": end + skew_ms, "duration_ms": end - answer}
    yield Event(end, "stop", stop)
    if call.second_stop_ms:
        again = call.second_stop_ms
        yield Event(end + again, "stop", stop | {"end_ms": end + again + skew_ms, "duration_ms": end + again - answer})
