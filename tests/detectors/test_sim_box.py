"""SIM cards of boxes: in one device, bought together with a person's calls each, and who looks alike."""

from __future__ import annotations

from random import Random

import msgspec
import polars as pl
import pytest

from core.policy import Policy
from core.safety import Protected
from detectors.protocol import Limits, Settings
from detectors.sim_box import DETECTOR, State, detect, forget
from detectors.sums import SUMS

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
T_MS = 1_790_000_000_000
RULES = Settings(lambda _: Policy(), lambda _: Protected(), lambda *_: "EUR", Limits())


def sim(card: int, at_ms: int, b_number: str, imei: str = "", cell: str = "c1") -> dict:
    """A call of a card; an ordinary one has a device of its own."""
    zero = {name: 0 if dtype.is_integer() else "" for name, dtype in SUMS.items()}
    subject = "\x1f".join((f"43664{card:08d}", f"23201{card:010d}", imei or f"35{card:013d}", cell, b_number))
    return zero | {
        "kind": "sim", "tenant": "m", "subject": subject, "account": f"m{card}", "second_ms": at_ms, "ends": 1, "answers": 1, "talk_ms": 60_000,
        "calls": 1, "learned_ms": at_ms, "call_id": f"{card}-{at_ms}",
    }  # fmt: skip


def network(days: float = 1.5) -> list[dict]:
    """Three hundred subscribers who call one another, in thirty cells, a few times a day; their IMSIs are not dense."""
    rng = Random(3)
    return [
        sim(1000 + 7 * who, T_MS + int(rng.random() * days * DAY_MS), f"43664{1000 + 7 * rng.randrange(300):08d}", cell=f"c{rng.randrange(30)}")
        for who in range(300) for _ in range(int(5 * days))
    ]  # fmt: skip


def box(cards: int, an_hour: float, *, imeis: int = 0, cells: int = 1, numbers: int = 10**6, step: int = 1, called: float = 0.0) -> list[dict]:
    """Calls of new cards in their first three hours, a day after the start. `called`: calls that each receives per call that it makes."""
    rng, rows = Random(5), []
    for no in range(cards):
        card = 50_000 + no * step
        for _ in range(round(3 * an_hour)):
            at_ms = T_MS + DAY_MS + int(rng.random() * 3 * HOUR_MS)
            number = f"43699{card % numbers * 1000 + rng.randrange(numbers) % 1000:08d}"
            rows.append(sim(card, at_ms, number, f"867105{no % imeis:09d}" if imeis else "", f"b{rng.randrange(cells)}"))
            if rng.random() < called:
                rows.append(sim(1000 + 7 * rng.randrange(300), at_ms + 1, f"43664{card:08d}"))
    return rows


def found(rows: list[dict]) -> tuple[list, list]:
    """All findings and orders, minute by minute."""
    state, findings, orders = State(), {}, []
    frame = pl.DataFrame(rows, schema=SUMS).sort("second_ms")
    for part in frame.with_columns(minute=pl.col("second_ms") // 600_000).partition_by("minute", maintain_order=True):
        some, more = detect(state, part.drop("minute"), RULES)
        forget(state, part["second_ms"].max())
        findings |= {one.finding_id: one for one in some}
        orders += more
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State) == state
    return list(findings.values()), orders


@pytest.mark.parametrize(
    ("what", "calls", "cards", "proven"),
    [
        ("eight cards in two devices", box(8, 8, imeis=2), 8, True),
        ("bought together, two calls an hour each, in five cells, each its device", box(16, 2, cells=5), 16, True),
        ("not bought together, busy, in one cell", box(6, 12, step=900), 6, False),
        ("a firm's new phones, which are called as well", box(16, 2, cells=12, called=0.8), 0, False),
        ("one new subscriber who calls a lot", box(1, 4, numbers=5), 0, False),
    ],
)
def test_whose_cards_are_a_box(what, calls, cards, proven):
    findings, orders = found([*network(), *calls])
    named = {share.account for one in findings for share in one.facts.shares}
    assert len(named) >= 0.8 * cards and (cards or not named), what
    assert named <= {f"m{50_000 + no * step}" for no in range(16) for step in (1, 900)}, "no subscriber is accused"
    assert len(findings) <= (1 if "not bought" not in what else 6), "cards of one box are one alert"
    assert {order.key.account for order in orders} == named, "each card is refused or asked about"
    assert any(not order.ask for order in orders) == proven and all(order.key.a_number and not order.key.b_range for order in orders), what


def test_a_proven_card_is_refused_again_when_its_order_has_expired():
    rows = box(8, 8, imeis=2)
    later = [one | {name: one[name] + DAY_MS for name in ("second_ms", "learned_ms")} | {"call_id": one["call_id"] + "b"} for one in rows]
    refused = [order for order in found([*network(2.5), *rows, *later])[1] if not order.ask and order.key.account == "m50000"]
    assert len(refused) == 2 and refused[1].created_at_ms >= refused[0].expires_at_ms == refused[0].learned_ms + DAY_MS


@pytest.mark.parametrize(("blocks", "asks"), [("automatic", {False, True}), ("ask", {True}), ("never", set())])
def test_the_policy_says_who_decides(monkeypatch, blocks, asks):
    rules = Settings(lambda _: Policy(sim_box_blocks=blocks), lambda _: Protected(), lambda *_: "EUR", Limits())
    monkeypatch.setitem(globals(), "RULES", rules)
    findings, orders = found([*network(), *box(8, 8, imeis=2)])
    assert findings and {order.ask for order in orders} <= asks and bool(orders) == bool(asks)


@pytest.mark.parametrize(
    ("fields", "is_read"),
    [
        ({}, True),
        ({"imsi": "²32010000000001"}, False),  # a digit for Python, and no number
        ({"imei": "35\x1f1"}, False),
        ({"cell": "232-01\x1f7"}, False),
        ({"a_number": ""}, False),  # withheld: an order would be against the whole account
        ({"final": False}, False),
    ],
)
def test_fields_as_a_switch_writes_them_are_read_or_left_out(fields, is_read):
    call = {"final": True, "imsi": "232010000000001", "imei": "351", "cell": "232-01", "a_number": "43664", "b_number": "43699"}
    (read,) = DETECTOR.sums["sim"](pl.DataFrame([call | fields]), Limits()).to_list()
    assert read == ("\x1f".join(("43664", "232010000000001", "351", "232-01", "43699")) if is_read else "")


def test_in_the_first_hours_of_the_watch_every_card_is_new():
    early = [row | {"second_ms": row["second_ms"] - DAY_MS} for row in box(16, 2, cells=5)]
    assert not found([*network(), *early])[0]


def test_a_flood_of_cards_leaves_nothing_behind(monkeypatch):
    """Who invents IMSIs, cells and devices fills no memory: the cards that were added first are dropped with all that names them."""
    monkeypatch.setattr("detectors.sim_box.MOST_CARDS", 20)
    monkeypatch.setattr("detectors.sim_box.MOST_IN_ONE", 10)
    state = State()
    for part in range(5):
        rows = [sim(9_000 + 100 * (100 * part + no), T_MS + no, "4369900000001", cell=f"x{no}", imei="35" if no % 2 else "") for no in range(100)]
        detect(state, pl.DataFrame(rows, schema=SUMS), RULES)
    held = state.networks["m"]
    assert len(held.cards) == len(held.numbers) == len(held.firsts) == 20
    assert set().union(*held.in_cell.values()) == held.cards.keys() and len(held.devices["35"]) <= 10 and len(held.devices) <= 20
