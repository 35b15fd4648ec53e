"""Findings, alerts and block orders: the values that detectors write and the dispatcher delivers."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import msgspec

from core.facts import Facts
from core.ids import derived_id

EVERYONE = "*"
"""In a key: all accounts of the tenant. Only to a range (`core.safety.fault`): for numbers that everybody is lured to call."""


class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, order=True):
    """The calls that a block refuses: of an ingress account (or of `EVERYONE`) or trunk, with optional a_number and b_number range.

    Account and trunk are those that the switch authenticated (source address or digest), never what From claims.
    Exactly one of `account` and `ingress_trunk` is set. `b_range` is a prefix of 1 to 15 digits.
    """

    tenant: str
    account: str = ""
    ingress_trunk: str = ""
    a_number: str = ""
    b_range: str = ""

    def text(self) -> str:
        """The readable form, which is also stored.

        >>> Key(tenant="t1", account="acme", b_range="88213").text()
        't1/account:acme/b:88213'
        """
        who = f"account:{self.account}" if self.account else f"trunk:{self.ingress_trunk}"
        return (
            f"{self.tenant}/{who}"
            + (f"/a:{self.a_number}" if self.a_number else "")
            + (f"/b:{self.b_range}" if self.b_range else "")
        )

    def who(self) -> str:
        """Whose calls, for a person.

        >>> Key(tenant="t1", account="*", b_range="2217704").who(), Key(tenant="t1", ingress_trunk="tg7").who()
        ('every account', 'trunk tg7')
        """
        if self.account == EVERYONE:
            return "every account"
        return f"account {self.account}" if self.account else f"trunk {self.ingress_trunk}"

    def entry(self) -> str:
        """The name of the key in a switch's block table. Its parts are names and digits only (`core.safety.fault`), so they contain no `|`.

        >>> Key(tenant="t1", account="acme", b_range="88213").entry(), Key(tenant="t1", ingress_trunk="tg7", a_number="4318").entry()
        ('t1|A|acme||88213', 't1|T|tg7|4318|')
        """
        who = f"A|{self.account}" if self.account else f"T|{self.ingress_trunk}"
        return f"{self.tenant}|{who}|{self.a_number}|{self.b_range}"


def key_of_entry(entry: str) -> Key:
    """The inverse of `Key.entry`.

    >>> key_of_entry("t1|A|acme||88213").text(), key_of_entry("t1|T|tg7|4318|").entry()
    ('t1/account:acme/b:88213', 't1|T|tg7|4318|')
    """
    tenant, letter, who, a_number, b_range = entry.split("|")
    side = "account" if letter == "A" else "ingress_trunk"
    return Key(tenant=tenant, a_number=a_number, b_range=b_range, **{side: who})


def covers(one: Key, other: Key) -> bool:
    """Whether the first key refuses every call that the second one refuses.

    >>> whole, caller = Key(tenant="t", account="x"), Key(tenant="t", account="x", a_number="43664", b_range="882")
    >>> covers(whole, caller), covers(caller, whole), covers(Key(tenant="t", account="*", b_range="88"), caller)
    (True, False, True)
    """

    def holds(left: str, right: str) -> bool:
        return left in ("", EVERYONE, right)

    return (
        one.tenant == other.tenant
        and holds(one.account, other.account)
        and holds(one.ingress_trunk, other.ingress_trunk)
        and holds(one.a_number, other.a_number)
        and other.b_range.startswith(one.b_range)
    )


def overlaps(one: Key, other: Key) -> bool:
    """Whether there is a call that both keys refuse.

    >>> a = Key(tenant="t", account="x", b_range="882")
    >>> overlaps(a, Key(tenant="t", account="x")), overlaps(a, Key(tenant="t", account="x", b_range="44"))
    (True, False)
    >>> overlaps(Key(tenant="t", account="*", b_range="2217704"), Key(tenant="t", account="x", b_range="221"))
    True
    """

    def may_meet(left: str, right: str) -> bool:
        return not left or not right or left == right or EVERYONE in (left, right)

    return (
        one.tenant == other.tenant
        and may_meet(one.account, other.account)
        and may_meet(one.ingress_trunk, other.ingress_trunk)
        and may_meet(one.a_number, other.a_number)
        and (one.b_range.startswith(other.b_range) or other.b_range.startswith(one.b_range))
    )


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A subject exceeded a detector's threshold. One finding_id per subject and episode; a later message replaces an earlier one."""

    finding_id: str
    tenant: str
    detector: str
    subject_kind: str  # account | a_number | b_range | unpriced | destination | carrier | trunk_group | trunk | range | party
    subject: str
    detected_at_ms: int  # event time
    first_ms: int
    last_ms: int
    calls: int
    exposure_nanos: int
    currency: str
    score: float  # 1.0 = the threshold
    reason: str  # the facts as a text (core.alert_text), for readers of this row alone
    example_call_ids: list[str]
    key: Key | None = None  # of an order against the subject
    learned_ms: int = 0
    facts: Facts | None = None


Action = Literal["refuse", "refuse_abroad", "throttle", "shadow"]
ACTIONS: tuple[str, ...] = get_args(Action)
"""What a switch does with the calls of a key, the strongest first: it refuses them; those that leave the country of the dial plan; those above so
many in a minute; or it only marks them. To refuse all calls of an account is to suspend it: emergency calls pass."""


class BlockOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a switch to refuse calls. Whether it stands, waits or was lifted is its status in the books."""

    order_id: str
    key: Key
    action: Action
    created_at_ms: int  # event time of the deciding record
    learned_ms: int  # when that record arrived: an order whose record arrived long ago is dropped, a replay never blocks a phone
    expires_at_ms: int
    finding_id: str
    reason: str
    by: str = "judge"  # or the name of the person
    ask: bool = False  # it waits until a person approves it, by the policy for this kind of block
    calls_a_minute: int = 0  # of `throttle`
    cut: bool = False  # of `refuse`: calls in progress are ended as well


class Entry(NamedTuple):
    """The value of a block at a switch. `calls_a_minute` 0 = no call passes."""

    order_id: str
    abroad: bool = False
    calls_a_minute: int = 0
    cut: bool = False


def entry_value(order_id: str, action: str = "refuse", calls_a_minute: int = 0, cut: bool = False) -> str:
    """The value of a block at a switch: its order, and what is done besides refusing its calls.

    >>> entry_value("order-1"), entry_value("order-1", "throttle", 6), entry_value("order-1", "refuse_abroad"), entry_value("order-1", cut=True)
    ('order-1', 'order-1;throttle=6', 'order-1;abroad', 'order-1;cut')
    """
    verbs = [f"throttle={calls_a_minute}"] if action == "throttle" else ["abroad"] if action == "refuse_abroad" else []
    return ";".join([order_id, *verbs, *(["cut"] if cut else [])])


def entry_of(value: str) -> Entry:
    """The inverse of `entry_value`; a word that is not known is left out, and the calls are refused.

    >>> entry_of("order-1;throttle=6"), entry_of("order-1;cut").cut
    (Entry(order_id='order-1', abroad=False, calls_a_minute=6, cut=False), True)
    """
    order_id, *verbs = value.split(";")
    throttle = next((verb.removeprefix("throttle=") for verb in verbs if verb.startswith("throttle=")), "")
    return Entry(order_id, "abroad" in verbs, int(throttle) if throttle.isdecimal() else 0, "cut" in verbs)


STATUSES = ("standing", "shadow", "waiting", "refused", "stale", "suppressed", "lifted", "expired")
"""Statuses of an order in the books. `waiting` = for a person (a limit was reached); `refused` = by a safety rule; `stale` = too old to act on."""


def order_id(key: Key, finding_id: str, issue_no: int) -> str:
    """The id of the n-th issue of an order for a finding."""
    return derived_id("order", key.text(), finding_id, issue_no)
