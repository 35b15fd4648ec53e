"""Whether a switch admits a call, decided from the switch's own tables. The order of the rules is what makes blocking safe. Pure.

1. **Emergency**: a number that means an emergency line, in any spelling, passes from any source.
2. **Protected**: a protected number, account or trunk passes; a protected caller only where the trunk is trusted for it.
3. **After an emergency call** from a known source, for the account that placed it: calls to that line, and that line's calls in the
   country of its dial plan, or in its own where the trunk is trusted for the caller.
4. The **hold** flag lets everything pass.
5. A **list** of people: an entry that allows the call lets it pass, one that denies it refuses it; the most specific entry decides, in the
   order of the blocks.
6. A **block**: account before trunk before every account, one caller before all callers, the longest range first. A text that means
   no number is looked up in every possible reading; where none is blocked it is refused, unless the trunk accepts such calls. A block may
   refuse only calls abroad, or only those above so many a minute; where it lets a call pass, the next one is looked at.
7. A call that would be refused passes after all if any reading of it is an emergency line or protected. It is then sent to that
   reading, not as it was dialled: a spelling that passes reaches no other number.

`switches/kamailio/blocks.lua` implements the same rules in Kamailio; `tests/vectors/admission.jsonl` runs through both and the loopback switch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from core.numbering import country, country_code, is_line
from core.numbers import DialPlan, Number, normalise, readings
from core.orders import EVERYONE, entry_of
from core.safety import LEAST_OF_EVERYONE, SHORT

BLOCKED, UNKNOWN_SOURCE, UNREADABLE = 603, 403, 484
"""SIP codes of a refusal: a block, an address that is no source, a text that is no number (RFC 3261, clause 21.4.22)."""

EMERGENCY = "emergency"

SHARED_CODES = ("1", "7")
"""Country codes that several countries share: a dial plan with one of them does not identify a country."""

Table = Callable[[str, str], str]
"""(table, key) -> value; "" = absent or expired. Tables: lists, blocks, shadow, protected, after."""

Over = Callable[[str, str, int], bool]
"""(table, key, calls per minute) -> whether this call of a throttled key is above them. It counts the call."""

HOME = {"1": ("US", "CA"), "7": ("RU", "KZ")}
"""Of country codes that several countries share: where calls under a dial plan with that code stay at home. +1 876 is abroad."""


class Invite(NamedTuple):
    """An incoming call as the switch authenticated it. `tenant` "": from an address that is no source."""

    tenant: str
    account: str
    trunk: str
    a_raw: str
    b_raw: str
    caller_ranges: tuple[str, ...] = ()  # numbers that the trunk is trusted for: prefixes of E.164 digits
    accept_unreadable: bool = False  # of the trunk: a text that is no number is sent on unchanged


class Admission(NamedTuple):
    """The decision. `code` 0 = the call passes. `number`: sent instead of the dialled number; "" = the number that it means."""

    code: int = 0
    order_id: str = ""  # of the block that refuses it; "shadow:<id>" of one that would refuse it
    number: str = ""
    opens: tuple[str, ...] = ()  # keys of `after` for the hours after an emergency call


def never_over(table: str, key: str, calls_a_minute: int) -> bool:
    """Nothing is counted: throttles let every call pass."""
    return False


def admit(
    invite: Invite, plan: DialPlan, table: Table, *, held: bool = False, emergency: frozenset[str] = frozenset(), over: Over = never_over
) -> Admission:
    """Decide on one call. `emergency`: numbers that pass under every dial plan. `over` counts the calls of throttled keys.

    >>> rows = {("blocks", "t1|A|acme||"): "order-1", ("protected", "4314040"): "hospital"}
    >>> def ask(b_raw): return admit(Invite("t1", "acme", "", "4319990001", b_raw), DialPlan(), lambda *key: rows.get(key, ""))
    >>> ask("88213123456").code, ask("*31#112").code, ask("4314040*12").number, ask("*31#088213123456").order_id
    (603, 0, '431404012', 'order-1')
    """
    a, b = normalise(invite.a_raw, plan), normalise(invite.b_raw, plan)
    if _is_emergency(b, table, emergency):
        return Admission(number=b.digits, opens=opened(invite, a, plan))
    code, order, shadow = _refusal(invite, a, b, plan, table, held, over)
    if not code and not shadow:
        return Admission()
    if line := _emergency_line(invite.b_raw, plan, table, emergency):
        return Admission(number=line, opens=opened(invite, a, plan))
    if invite.tenant:
        for digits in readings(invite.b_raw, plan):
            if protected_number(digits, table):
                return Admission(number=digits)
    return Admission(code, order) if code else Admission(order_id=f"shadow:{shadow}")


def _refusal(invite: Invite, a: Number, b: Number, plan: DialPlan, table: Table, held: bool, over: Over) -> tuple[int, str, str]:
    """The refusal of a call, before its other readings are considered: its code (0 = none), its order, and the order that would refuse it in
    shadow."""
    if not invite.tenant:
        return UNKNOWN_SOURCE, "", ""
    if _is_protected(invite, a, b, table) or _follows_emergency(invite, a, b, plan, table) or held:
        return 0, "", ""
    verb, listed = _listed(invite, a, b, plan, table)
    if verb == "allow":
        return 0, "", ""
    if verb == "deny":
        return BLOCKED, listed, ""
    if order := _look_up("blocks", invite, a, b, plan, table, over):
        return BLOCKED, order, ""
    shadow = listed or _look_up("shadow", invite, a, b, plan, table, over)
    return 0 if b.digits or invite.accept_unreadable else UNREADABLE, "", shadow


def _is_emergency(number: Number, table: Table, emergency: frozenset[str]) -> bool:
    return number.kind == EMERGENCY or _is_emergency_line(number.digits, table, emergency)


def _is_emergency_line(digits: str, table: Table, emergency: frozenset[str]) -> bool:
    """An emergency number, or one that is protected as an emergency line: its reason begins with `emergency`."""
    return digits in emergency or (bool(digits) and table("protected", digits).startswith(EMERGENCY))


def _emergency_line(raw: str, plan: DialPlan, table: Table, emergency: frozenset[str]) -> str:
    """The first reading that is an emergency line, or ""."""
    for digits in readings(raw, plan):
        if digits in plan.emergency or _is_emergency_line(digits, table, emergency):
            return digits
    return ""


def protected_number(digits: str, table: Table) -> bool:
    """A short number exactly; a full number with its extensions (a short one has none: 911 protects no part of Delhi, +91 11)."""
    if 0 < len(digits) <= SHORT:
        return bool(table("protected", digits))
    return any(table("protected", digits[:length]) for length in range(SHORT + 1, len(digits) + 1))


def _is_protected(invite: Invite, a: Number, b: Number, table: Table) -> bool:
    trusted = bool(a.digits) and a.digits.startswith(invite.caller_ranges or ("-",))
    return bool(
        protected_number(b.digits, table)
        or (trusted and protected_number(a.digits, table))
        or (invite.account and (table("protected", f"A|{invite.account}") or table("protected", f"A|{invite.tenant}/{invite.account}")))
        or (invite.trunk and (table("protected", f"T|{invite.trunk}") or table("protected", f"T|{invite.tenant}/{invite.trunk}")))
    )


def in_force(value: str, now_s: float) -> bool:
    """Whether an entry of a list has not ended.

    >>> in_force("deny|0|list-1", 5.0), in_force("deny|5|list-1", 4.9), in_force("deny|5|list-1", 5.0)
    (True, True, False)
    """
    until = value.split("|")[1]
    return until == "0" or int(until) > now_s


class Rates:
    """Counts the calls of throttled keys by the minute of the clock: the `over` of a switch without telephony.

    >>> rates = Rates(lambda: 61.0)
    >>> [rates.over("blocks", "t1|A|acme||", 2) for _ in range(3)]
    [False, False, True]
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s, self._minute, self._calls = clock_s, 0, Counter[tuple[str, str]]()

    def over(self, table: str, key: str, calls_a_minute: int) -> bool:
        minute = int(self._clock_s() // 60)
        if minute != self._minute:
            self._minute, self._calls = minute, Counter()
        self._calls[table, key] += 1
        return self._calls[table, key] > calls_a_minute


# --- after an emergency call ---


def _who(invite: Invite) -> str:
    return f"{invite.tenant}|{invite.account or 'trunk:' + invite.trunk}"


def opened(invite: Invite, a: Number, plan: DialPlan) -> tuple[str, ...]:
    """What an emergency call opens for two hours, for the account that placed it: calls from the line, and calls to the line.

    >>> opened(Invite("t1", "acme", "", "", "112"), Number("4319990001", "e164"), DialPlan())
    ('from|t1|acme|4319990001', 'to|t1|acme|4319990001')
    >>> opened(Invite("", "", "", "", "112"), Number("4319990001", "e164"), DialPlan())
    ()
    """
    if not invite.tenant:
        return ()
    line = is_line(a.digits) and plan.country_code in ("", country_code(a.digits))
    return (f"from|{_who(invite)}|{a.digits}", *([f"to|{_who(invite)}|{a.digits}"] if line else []))


def _country_of_caller(invite: Invite, a: Number, plan: DialPlan) -> str:
    """The country whose lines a caller may call after an emergency call; "" = none. It is the dial plan's, for a caller in it or withheld; where
    the plan names no country, that of a caller whom the trunk is trusted for. A number that a caller merely claims opens no country."""
    home = country(a.digits) if is_line(a.digits) else ""
    if plan.country_code:
        if home and country_code(a.digits) == plan.country_code:
            return home
        return plan.country_code if not a.digits and plan.country_code not in SHARED_CODES else ""
    return home if a.digits.startswith(invite.caller_ranges or ("-",)) else ""


def _follows_emergency(invite: Invite, a: Number, b: Number, plan: DialPlan, table: Table) -> bool:
    if b.digits and table("after", f"to|{_who(invite)}|{b.digits}"):
        return True
    if not b.digits or not table("after", f"from|{_who(invite)}|{a.digits}"):
        return False
    if b.kind in ("short", "service"):
        return True
    return is_line(b.digits) and country(b.digits) == _country_of_caller(invite, a, plan)


# --- blocks ---


def candidates(
    tenant: str, account: str, trunk: str, callers: tuple[str, ...], numbers: tuple[str, ...], lists: bool = False
) -> Iterator[str]:
    """The entries that refuse a call, in the order in which a switch looks them up: account before trunk before every account, with a caller
    before without, the longest range first. Blocks of every account have a range and no caller; entries of `lists` need neither.

    >>> list(candidates("t1", "acme", "", (), ("88",)))
    ['t1|A|acme||88', 't1|A|acme||8', 't1|A|acme||']
    """
    for letter, who in (("A", account), ("T", trunk), ("A", EVERYONE)):
        if not who:
            continue
        narrow = who == EVERYONE and not lists
        for caller in ("",) if narrow else dict.fromkeys((*callers, "")):
            for digits in numbers or ("",):
                for length in range(min(15, len(digits)), LEAST_OF_EVERYONE - 1 if narrow else -1, -1):
                    yield f"{tenant}|{letter}|{who}|{caller}|{digits[:length]}"


def _entries(name: str, invite: Invite, a: Number, b: Number, plan: DialPlan, table: Table) -> Iterator[tuple[str, str]]:
    """The entries of a table that a call meets, with their values, the most specific first."""
    callers = (a.digits,) if a.digits else readings(invite.a_raw, plan)
    numbers = (b.digits,) if b.digits else readings(invite.b_raw, plan)
    for entry in candidates(invite.tenant, invite.account, invite.trunk, callers, numbers, lists=name == "lists"):
        if value := table(name, entry):
            yield entry, value


def _listed(invite: Invite, a: Number, b: Number, plan: DialPlan, table: Table) -> tuple[str, str]:
    """What the lists say of a call: allow, deny or mark (deny, where the switch is in shadow), and the entry's id."""
    for _, value in _entries("lists", invite, a, b, plan, table):
        verb, _, listed = value.split("|")
        return verb, listed
    return "", ""


def _look_up(name: str, invite: Invite, a: Number, b: Number, plan: DialPlan, table: Table, over: Over) -> str:
    for entry, value in _entries(name, invite, a, b, plan, table):
        found = entry_of(value)
        if found.abroad and not is_abroad(b, plan):
            continue
        if found.calls_a_minute and not over(name, entry, found.calls_a_minute):
            continue
        return found.order_id
    return ""


def is_abroad(b: Number, plan: DialPlan) -> bool:
    """Whether a call leaves the country of the dial plan; with a plan of no country each full number does, and so does a text that means none.

    >>> at, us = DialPlan(country_code="43"), DialPlan(country_code="1")
    >>> is_abroad(Number("4366012345", "e164"), at), is_abroad(Number("37190012345", "e164"), at), is_abroad(Number("133", "short"), at)
    (False, True, False)
    >>> is_abroad(Number("12125551234", "e164"), us), is_abroad(Number("18765551234", "e164"), us), is_abroad(Number("", "invalid"), at)
    (False, True, True)
    """
    if b.kind in ("short", "service", EMERGENCY):
        return False
    home = HOME.get(plan.country_code, (plan.country_code,))
    return not (b.digits and plan.country_code and country(b.digits) in home)
