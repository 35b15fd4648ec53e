"""SIM box: international calls are brought in over the internet and sent on from local SIMs as if they were local calls.

A SIM of a box is new, calls many different numbers, hardly any twice, is hardly ever called, and moves in no cell; a device (IMEI) holds several.
Boxes with human-like cover limit each card to a person's calls and change cells and devices: a card alone tells nothing, but the cards of a box
are bought together (adjacent IMSIs) and begin together, or several new cards crowd in one cell. So the cards of all partitions are compared:
how many cards next to this one (in IMSI, in cell) began within hours, against how many would by the operator's own rate of new cards. Cards that
were bought together are weighed together: ten calls of five of them to ten numbers from one cell say what ten calls of one would. All cards of a
box are one finding; it names them. A firm's new contract looks alike in its first hour; its phones are called.

A card is refused without a person (`policy.sim_box_blocks`) only where that is proven: three or more of the new cards in its device and of those
that were bought and began with it have made `PROVEN_CALLS` calls and received hardly any, and `PROVEN_OWN` of them are its own. A device alone proves
nothing (cheap telephones share an IMEI), nor does a neighbour. The others wait for a person. The fee of termination that is lost is in no record,
so no loss is weighed; what is refused is a card that nobody calls. Emergency calls pass, as always. Without IMSI, IMEI and cell in the records
(wholesale, internet telephony) this fraud is not observable.

Source: I. Murynets et al., "Analysis and Detection of SIMbox Fraud in Mobility Networks", INFOCOM 2014 (distinct called numbers, few incoming
calls, static cells, several cards per device); B. Reaves et al., "Boxed Out", USENIX Security 2015; A. Kouam et al., "SIMBox bypass frauds in
cellular networks", IEEE COMST 23(4), 2021 (cover, cards bought and activated in bulk).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Literal

import msgspec
import polars as pl

from core.alert_text import finding_text, observed_text
from core.facts import Contribution, Facts, Share
from core.orders import BlockOrder, Finding, Key
from detectors import alerts
from detectors.alerts import Alert
from detectors.evidence import PRIOR
from detectors.latest import MOST_ITEMS
from detectors.profile import DAY_MS, HOUR_MS
from detectors.protocol import Limits, Settings, Spanning
from detectors.recent import drop_old, touched

NEW_MS = 2 * DAY_MS
"""A card is new for so long after its first call."""
TOGETHER_MS = 3 * HOUR_MS
"""Cards whose first calls lie so close began together."""
NEIGHBOURS = 10
"""On each side: cards with these IMSIs are adjacent."""
LEAST_PROBABILITY = 0.6
LEAST_LOG_ODDS = math.log(LEAST_PROBABILITY / (1 - LEAST_PROBABILITY)) - PRIOR - 0.1
"""Of the evidence, below which there is no finding; with room for its rounding."""
MOST_OF_A_CROWD = 4.0
POOLED, POOLED_CALLS = 3, 8
"""From so many cards that began together, with so many calls, these are weighed as one."""
PROVEN_CARDS, PROVEN_OWN, PROVEN_CALLS, HARDLY = 3, 5, 40, 0.1
LASTS = 2
"""The level (`detectors.blocked`) of an order against a proven card: it does not become an honest one within an hour."""
MOST_CARDS, MOST_KNOWN, MOST_NAMES = 500_000, 5_000_000, 60
"""New cards, and cards that are new no more, that are remembered of a tenant, and cards of a box that are named. The one that was added first, or has
been silent for longest, is dropped first; an old card that was dropped counts as new when it calls again."""
MOST_CELLS, MOST_IN_ONE = 8, 1_000
"""Cells of a card, and cards of a device or a cell, that are remembered: of the latter the last."""


class Card(msgspec.Struct):
    """A new SIM card."""

    account: str
    number: str
    first_ms: int
    last_ms: int = 0
    calls: int = 0
    answers: int = 0
    talk_ms: int = 0
    received: int = 0  # from others than its neighbours: a box calls its own cards
    distinct: int = 0
    called: list[int] = []  # hashes of the numbers called, the last 64
    cells: dict[str, int] = {}
    imei: str = ""


class Box(msgspec.Struct):
    """Cards that were suspected together."""

    alert: str
    cards: list[str]
    imeis: list[str]
    asked: list[str] = []  # cards whose order was written
    refused: dict[str, int] = {}  # of them those that are refused without a person -> until when
    examples: list[str] = []


class Network(msgspec.Struct):
    """The cards of a tenant. `known`: IMSI -> its last call, of cards that are new no more. `firsts`: the first calls of new cards, in order."""

    began_ms: int
    known: dict[str, int] = {}
    cards: dict[str, Card] = {}
    numbers: dict[str, str] = {}  # a_number -> IMSI, of new cards
    devices: dict[str, dict[str, int]] = {}  # IMEI -> IMSI -> its last call
    in_cell: dict[str, dict[str, int]] = {}  # cell -> IMSI of a new card -> its first call
    firsts: list[int] = []
    boxes: list[Box] = []
    boxed: dict[str, int] = {}  # IMSI of a card of a box -> when that was seen


class State(msgspec.Struct):
    """By tenant."""

    networks: dict[str, Network] = {}
    alerts: dict[str, Alert] = {}


def detect(state: State, cut: pl.DataFrame, settings: Settings) -> tuple[list[Finding], list[BlockOrder]]:
    """Add one cut (in place), and report the boxes whose cards call in it."""
    findings: list[Finding] = []
    orders: list[BlockOrder] = []
    rows = cut.filter(kind="sim").sort("second_ms", "tenant", "subject", "account", "call_id")
    by = ("tenant", "subject", "account", "second_ms", "ends", "answers", "talk_ms", "learned_ms", "call_id")
    for tenant, subject, account, t_ms, ends, answers, talk_ms, learned_ms, call_id in rows.select(by).iter_rows():
        network = state.networks.setdefault(tenant, Network(began_ms=t_ms))
        number, imsi, imei, cell, b_number = subject.split("\x1f")
        card = _add(network, imsi, imei, cell, number, b_number, account, t_ms, ends)
        if card is None:
            continue
        card.answers, card.talk_ms = card.answers + answers, card.talk_ms + talk_ms
        parts = evidence(network, imsi, card, t_ms)
        likely = _likely(parts)
        if likely < LEAST_PROBABILITY:
            continue
        box = _box_of(network, imsi, card, parts, tenant)
        _note(network, imsi, t_ms)
        _join(network, box, imsi, t_ms)
        box.examples = list(dict.fromkeys([*box.examples, call_id]))[-MOST_ITEMS:]
        proven = imsi if is_proven(network, imsi, card) else ""
        if found := _report(state, network, tenant, box, parts, likely, t_ms, learned_ms, settings, proven):
            findings.append(found[0])
            orders += found[1]
    return findings, orders


def _add(network: Network, imsi: str, imei: str, cell: str, number: str, b_number: str, account: str, t_ms: int, calls: int) -> Card | None:
    """Count the call; the card if it is new."""
    touched(touched(network.devices, imei, dict[str, int], MOST_CARDS), imsi, int, MOST_IN_ONE)
    network.devices[imei][imsi] = t_ms
    if (called := network.numbers.get(b_number)) and (other := network.cards.get(called)) and abs(int(called) - int(imsi)) > 3 * NEIGHBOURS:
        other.received += calls
    if imsi in network.known:
        del network.known[imsi]  # known are in the order of their last calls
        network.known[imsi] = t_ms
        return None
    card = network.cards.get(imsi)
    if card is None:
        card = network.cards[imsi] = Card(account, number, t_ms)
        network.numbers[number] = imsi
        network.firsts.append(max(t_ms, network.firsts[-1] if network.firsts else 0))
        if len(network.cards) > MOST_CARDS:
            _retire(network, next(iter(network.cards)))
            network.firsts.pop(0)
    card.last_ms, card.imei, card.calls = t_ms, imei, card.calls + calls
    if cell in card.cells or len(card.cells) < MOST_CELLS:
        card.cells[cell] = card.cells.get(cell, 0) + calls
        touched(network.in_cell.setdefault(cell, {}), imsi, int, MOST_IN_ONE)
        network.in_cell[cell][imsi] = card.first_ms
    if (one := int(b_number or "0")) not in card.called:
        card.distinct, card.called = card.distinct + 1, [*card.called, one][-64:]
    return card


def _retire(network: Network, imsi: str) -> Card:
    """Take a new card out of everything that names it."""
    card = network.cards.pop(imsi)
    if network.numbers.get(card.number) == imsi:  # a number that moved to another card is that card's
        del network.numbers[card.number]
    for cell in card.cells:
        held = network.in_cell.get(cell, {})
        held.pop(imsi, None)
        if not held:
            network.in_cell.pop(cell, None)
    return card


def evidence(network: Network, imsi: str, card: Card, t_ms: int) -> list[Contribution]:
    """What counts for and against a card being one of a box, in log-odds; the largest first.

    >>> network = Network(began_ms=0)
    >>> card = Card("m1", "436641", DAY_MS, calls=12, distinct=12, cells={"c1": 12}, imei="86710500")
    >>> for one in evidence(network, "232010000000100", card, DAY_MS + HOUR_MS): print(one.code, one.points)
    volume 2.76
    age 2.5
    cells 2.0
    distinct 1.8
    incoming 1.8
    """
    hours = max((t_ms - card.first_ms) / HOUR_MS, 0.25)
    together = [network.cards[name] for name in _together(network, imsi, card)]
    firsts = network.firsts
    since = bisect_left(firsts, card.first_ms + TOGETHER_MS) - bisect_left(firsts, card.first_ms - TOGETHER_MS)
    every = max(len(network.known) + len(network.cards), 200)
    made, received = card.calls + sum(one.calls for one in together), card.received + sum(one.received for one in together)
    sims = len(network.devices.get(card.imei, ()))
    pool = [card, *together] if len(together) >= POOLED and made >= POOLED_CALLS and card.calls < 5 else [card]
    calls, cells = sum(one.calls for one in pool), len({cell for one in pool for cell in one.cells})
    share = sum(one.distinct for one in pool) / max(calls, 1)
    boxed = [int(name) for name in _adjacent(imsi) if name in network.boxed] if network.boxed else []
    unasked = 0.15 * card.calls - 2.0 * card.received if card.received else 2.0  # who is called himself is no card of his neighbours
    inside = len(boxed) >= POOLED and min(boxed) < int(imsi) < max(boxed)
    watched = min((card.first_ms - network.began_ms) / (12 * HOUR_MS), 1.0)
    expected = 0.3 + max(since - len(together), 0) * 2 * NEIGHBOURS / every
    usual = 1.5 + 0.4 * hours
    parts = [
        ("age", 2.5 * watched, hours / 24, 2.0),
        ("volume", _clip(1.5 * math.log(max(card.calls, 0.1) / usual), 0.0, 4.0) if card.calls >= 3 else 0.0, card.calls, usual),
        ("distinct", _clip(6.0 * (share - 0.7), -4.0, 2.0) if calls >= 5 else 0.0, share, 0.7),
        ("incoming", _clip(min(0.15 * made - 2.0 * received, unasked), -6.0, 2.0), received, made / 4),
        ("cells", 0.0 if calls < 5 else 2.0 if cells == 1 else -2.0 if cells > 4 * len(pool) else 0.0, cells, 4.0),
        ("imei", _clip(2.0 * (sims - 1), 0.0, 6.0) if sims >= 3 else 0.0, sims, 1.0),
        ("adjacent", _clip(_surprise(len(together), expected), 0.0, 6.5) * watched, len(together), expected),
        ("box", 6.5 if inside else 0.0, len(boxed), 0.0),
    ]
    # To count the beginners of a busy cell is dear: where even the most that they can add makes no finding, they are left out.
    if sum(points for _, points, _, _ in parts) + MOST_OF_A_CROWD * watched >= LEAST_LOG_ODDS:
        crowd = max((_beginners(network, cell, imsi, card.first_ms) for cell in card.cells), default=0)
        in_cell = 0.5 + 2.0 * max(since - crowd, 0) / max(len(network.in_cell), 1)
        parts.append(("crowd", _clip(_surprise(crowd, in_cell) - 3.0, 0.0, MOST_OF_A_CROWD) * watched, crowd, in_cell))
    found = [Contribution(code, round(points, 2), float(f"{value:.4g}"), float(f"{normal:.4g}")) for code, points, value, normal in parts]
    return sorted((one for one in found if abs(one.points) >= 0.05), key=lambda one: (-abs(one.points), one.code))


def is_proven(network: Network, imsi: str, card: Card) -> bool:
    """Whether a card of a box is refused without a person: it has called several times itself, and of it, the new cards in its device and those
    bought with it together so many calls went out, and hardly any came in. People are called about as often as they call.

    >>> def rack(calls, received=0): return {str(no): Card(f"m{no}", f"4366{no}", 0, calls=calls, received=received * (no == 3)) for no in (1, 2, 3)}
    >>> [is_proven(Network(0, cards=cards), "1", cards["1"]) for cards in (rack(14), rack(13), rack(14, 4), rack(14, 5))]
    [True, False, True, False]
    >>> cards = rack(30) | {"9": Card("m9", "43669", 0, calls=4)}
    >>> is_proven(Network(0, cards=cards), "9", cards["9"])
    False
    """
    racked = {name for name in network.devices.get(card.imei, ()) if name in network.cards}
    cards = [card, *(network.cards[name] for name in racked.union(_together(network, imsi, card)) - {imsi})]
    made, received = sum(one.calls for one in cards), sum(one.received for one in cards)
    is_called = received > HARDLY * made or card.received > HARDLY * card.calls
    return len(cards) >= PROVEN_CARDS and card.calls >= PROVEN_OWN and made >= PROVEN_CALLS and not is_called


def _likely(parts: list[Contribution]) -> float:
    return 1 / (1 + math.exp(-PRIOR - sum(one.points for one in parts)))


def _together(network: Network, imsi: str, card: Card) -> list[str]:
    """New cards next to this one that began with it: they were bought together."""
    around = (name for name in _adjacent(imsi) if name in network.cards)
    return [name for name in around if abs(network.cards[name].first_ms - card.first_ms) <= TOGETHER_MS]


def _adjacent(imsi: str) -> list[str]:
    at = int(imsi)
    return [f"{at + step:0{len(imsi)}d}" for step in range(-NEIGHBOURS, NEIGHBOURS + 1) if step]


def _beginners(network: Network, cell: str, imsi: str, first_ms: int) -> int:
    """Other new cards in a cell that began together with this one, adjacent ones left out: they count as that."""
    held = network.in_cell.get(cell, {}).items()
    return sum(abs(at_ms - first_ms) <= TOGETHER_MS for name, at_ms in held if abs(int(name) - int(imsi)) > NEIGHBOURS)


def _surprise(n: int, expected: float) -> float:
    """The log-likelihood ratio of seeing `n` where so many are expected (Poisson); 0 = not more than expected."""
    return n * math.log(n / expected) - (n - expected) if n > expected else 0.0


def _clip(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)


def _box_of(network: Network, imsi: str, card: Card, parts: list[Contribution], tenant: str) -> Box:
    """The box that has the card, or its device, or an adjacent card, or, for one of a crowd that was not bought with others, a card in its cell; else
    a new one."""
    points = {one.code: one.points for one in parts}
    crowded = points.get("crowd", 0.0) > 1 > points.get("adjacent", 0.0)
    for box in network.boxes:
        near = any(abs(int(other) - int(imsi)) <= NEIGHBOURS for other in box.cards)
        shares = crowded and any(network.cards[other].cells.keys() & card.cells.keys() for other in box.cards if other in network.cards)
        if near or card.imei in box.imeis or shares:
            break
    else:
        box = Box(f"{tenant}\x1f{imsi}", [], [])
        network.boxes = [*network.boxes, box][-1000:]
    if imsi not in box.cards:
        box.cards = [*box.cards, imsi][-1000:]
    if card.imei not in box.imeis:
        box.imeis = [*box.imeis, card.imei][-1000:]
    return box


def _note(network: Network, imsi: str, t_ms: int) -> None:
    touched(network.boxed, imsi, int, MOST_CARDS)
    network.boxed[imsi] = t_ms


def _join(network: Network, box: Box, imsi: str, t_ms: int) -> None:
    """The cards next to a suspected one, and next to those, are weighed by what is known now: each may not call again for hours."""
    asked = [imsi]
    for one in asked:
        for name in _adjacent(one):
            card = network.cards.get(name)
            if card is None or name in network.boxed:
                continue
            if _likely(evidence(network, name, card, t_ms)) >= LEAST_PROBABILITY:
                _note(network, name, t_ms)
                box.cards, box.imeis = [*box.cards, name][-1000:], [*box.imeis, *({card.imei} - {*box.imeis})][-1000:]
                asked.append(name)


def _report(
    state: State, network: Network, tenant: str, box: Box, parts: list[Contribution], likely: float, t_ms: int, learned_ms: int, settings: Settings,
    proven: str,
) -> tuple[Finding, list[BlockOrder]] | None:  # fmt: skip
    """The finding of a box, with an order against each card that has joined it. `proven`: the card of this call, if that is proven of it; an order
    against it is written again when it has expired."""
    policy, protected = settings.policy_of(tenant), settings.protected_of(tenant)
    score = likely / LEAST_PROBABILITY
    is_ordered = policy.sim_box_blocks != "never"
    grown = [imsi for imsi in box.cards if is_ordered and imsi not in box.asked and imsi in network.cards]
    if policy.sim_box_blocks == "automatic" and likely >= policy.block_probability and proven and box.refused.get(proven, 0) <= t_ms:
        grown = list(dict.fromkeys([proven, *grown]))
    else:
        proven = ""
    if alerts.is_recent(state.alerts, box.alert, t_ms, score, policy, quiet_ms=DAY_MS) and not grown:
        return None
    alert = alerts.episode(state.alerts, box.alert, t_ms, score, policy, (tenant, "sim_box", box.cards[0]), quiet_ms=DAY_MS)
    facts, orders = facts_of(network, box, parts), []
    for imsi in grown:
        card, ask = network.cards[imsi], imsi != proven
        key, reason = _key_of(card, tenant), observed_text(facts)
        order, _ = alerts.order_for(key, alert, t_ms, learned_ms, reason, policy, protected, by="watch", ask=ask, level=0 if ask else LASTS)
        orders += [order] if order and card.account else []
        box.asked = [*box.asked, *([imsi] if imsi not in box.asked else [])][-1000:]
        if order and not ask:
            touched(box.refused, imsi, int, MOST_IN_ONE)
            box.refused[imsi] = order.expires_at_ms
        alert.issues += 1
    action: Literal["block", "ask", ""] = "block" if box.refused else "ask" if box.asked else ""
    facts = msgspec.structs.replace(facts, action=action, no_block="" if action else "warns")
    finding = Finding(
        finding_id=alert.finding_id, tenant=tenant, detector="sim_box", subject_kind="sim_box", subject=f"SIM {box.cards[0]}",
        detected_at_ms=alert.detected_at_ms, first_ms=min(alert.first_ms, *(one.first_ms for one in _cards(network, box))),
        last_ms=alert.last_ms, calls=facts.calls, exposure_nanos=0, currency="", score=round(alert.score, 3), reason=finding_text(facts),
        example_call_ids=list(box.examples), key=_key(network, box, tenant), learned_ms=learned_ms, facts=facts,
    )  # fmt: skip
    return finding, orders


def _key_of(card: Card, tenant: str) -> Key:
    return Key(tenant=tenant, account=card.account, a_number=card.number)


def _key(network: Network, box: Box, tenant: str) -> Key | None:
    """The key of the first card that an order waits for; the alert keeps it when it is written again."""
    asked = (network.cards[imsi] for imsi in box.asked if imsi in network.cards)
    return next((_key_of(card, tenant) for card in asked if card.account), None)


def _cards(network: Network, box: Box) -> list[Card]:
    return [network.cards[imsi] for imsi in box.cards if imsi in network.cards]


def facts_of(network: Network, box: Box, parts: list[Contribution]) -> Facts:
    """
    >>> cards = {f"23201{no:010d}": Card(f"m{no}", f"43664{no}", 0, calls=9, distinct=9, talk_ms=540_000, cells={"c1": 9}) for no in range(4)}
    >>> facts = facts_of(Network(began_ms=0, cards=cards), Box("a", list(cards), ["867"]), [Contribution("imei", 6.0, 4, 1)])
    >>> print(observed_text(facts))
    4 SIM cards in 1 device and 1 cell have made 36 calls to 36 numbers, and received 0: m0, m1, m2, m3. It looks like a SIM box: \
international calls are sent on as local ones. Probability 1.8 %: SIMs in one device 4, normal 1 (+6.0).
    """
    cards = _cards(network, box)
    return Facts(
        subject_kind="sim_box", name=box.cards[0], calls=sum(one.calls for one in cards), talk_ms=sum(one.talk_ms for one in cards),
        window_ms=max((one.last_ms for one in cards), default=0) - min((one.first_ms for one in cards), default=0),
        shares=[Share(one.account or one.number, one.calls) for one in cards[:MOST_NAMES]], shares_are_money=False,
        more_accounts=max(0, len(cards) - MOST_NAMES), fraud="sim_box", evidence=parts, prior=PRIOR,
        measured=[
            float(len(cards)), float(len({one.imei for one in cards})), float(len({cell for one in cards for cell in one.cells})),
            float(sum(one.distinct for one in cards)), float(sum(one.received for one in cards)),
        ],
    )  # fmt: skip


def forget(state: State, at_ms: int) -> None:
    """New cards grow old; what was silent for a week is dropped. Once an hour of each tenant is often enough."""
    alerts.forget(state.alerts, at_ms - 3 * DAY_MS)
    for name, network in list(state.networks.items()):
        if not network.firsts or network.firsts[0] >= at_ms - NEW_MS - HOUR_MS:
            continue
        for imsi in [imsi for imsi, card in network.cards.items() if card.first_ms < at_ms - NEW_MS]:
            touched(network.known, imsi, int, MOST_KNOWN)
            network.known[imsi] = _retire(network, imsi).last_ms
        network.firsts = network.firsts[bisect_left(network.firsts, at_ms - NEW_MS) :]
        week_ms = at_ms - 7 * DAY_MS
        drop_old(network.known, int, week_ms)
        network.devices = {
            imei: kept for imei, held in network.devices.items() if (kept := {one: last_ms for one, last_ms in held.items() if last_ms >= week_ms})
        }
        network.boxes = [box for box in network.boxes if any(imsi in network.cards for imsi in box.cards)]
        drop_old(network.boxed, int, at_ms - NEW_MS)
        if not (network.known or network.cards):
            del state.networks[name]


def _sim(usage: pl.DataFrame, limits: Limits) -> pl.Series | None:
    """Number, IMSI, IMEI and cell of the caller, and the number called, of each call that ends, where a mobile operator's records have them."""
    if not any(usage["imsi"].to_list()):
        return None
    by = ("final", "imsi", "imei", "cell", "a_number", "b_number")
    found = [
        "\x1f".join((a_number, imsi, imei, cell, b_number if b_number.isdigit() else ""))
        # The fields are as the switch wrote them: what is no IMSI, or would be taken for two fields, is left out.
        if final and a_number and imei and cell and imsi.isascii() and imsi.isdigit() and "\x1f" not in imei + cell else ""
        for final, imsi, imei, cell, a_number, b_number in zip(*(usage[name].to_list() for name in by), strict=True)
    ]
    return pl.Series(found, dtype=pl.String)


DETECTOR = Spanning(
    name="sim_box",
    about="SIM boxes: new SIM cards that call many different numbers and are not called, several in a device, next to one another or in one cell",
    sums={"sim": _sim},
    by_account=("sim",),
    fields=("a_raw", "imei", "imsi", "cell"),
    state=State,
    detect=detect,
    forget=forget,
)
