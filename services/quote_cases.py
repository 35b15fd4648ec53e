"""Price cases in a neutral form, one JSON object per line: what `ringfence quote FILE` reads (docs/rating.md has the form).

A case says rates, a call and what it should cost; it is priced by the same functions as every call. A line that cannot be read is an
answer of its own, with its error: the others are priced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from core.money import NANOS, to_nanos
from rating.deck import NO_CONDITION, Call, Condition, Deck
from rating.explain import exact_of, explain
from rating.price import Offer, price_one
from rating.quote import LONGEST_S, seconds_for
from rating.rules import MILLION, Change, Mode, Rules, rounded
from rating.tariff import Step, Tariff, check_steps
from rating.tiers import Interval, Tier, by_interval, graduated, volume
from rating.window import DAY_S, Window

MODES: dict[str, Mode] = {"up": "up", "down": "down", "middle": "half_up", "half_up": "half_up", "half_even": "half_even", "none": "half_up"}
MOST_LINE = 1_000_000

Case = Mapping[str, Any]


def answers(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """One answer per line that is not blank: `id`, `kind`, `result` as decimal text and `explain`; or `id` and `error`.

    >>> line = b'{"id": "a", "kind": "cost_rounding", "amount": "1.005", "rounding": {"mode": "half_up", "decimals": 2}}'
    >>> [answer["result"] for answer in answers([line, b"", b"{"]) if "result" in answer]
    ['1.01']
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name = f"line {number}"
        try:
            if len(line) > MOST_LINE:
                raise ValueError(f"has {len(line)} bytes: a case has at most {MOST_LINE}")
            case = json.loads(line, parse_float=Decimal)
            if not isinstance(case, dict):
                raise ValueError("is no JSON object")
            name = str(case.get("id", name))
            kind = case.get("kind")
            if kind not in KINDS:
                raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
            result, explanation = KINDS[kind](case)
        except KeyError as missing:
            yield {"id": name, "error": f"line {number}: {missing.args[0]} is missing"}
        except (ValueError, TypeError, ArithmeticError, RecursionError) as wrong:
            yield {"id": name, "error": f"line {number}: {wrong}"}
        else:
            yield {"id": name, "kind": kind, "result": result, "explain": explanation}


# --- values ----------------------------------------------------------------------------------------------------------------------------


def _exact(value: Any, what: str) -> Fraction:
    """A number or a text with one."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError(f"{what} is {value!r}: it must be a number or a text with one")
    try:
        return Fraction(value)
    except (ValueError, OverflowError, ZeroDivisionError):
        raise ValueError(f"{what} is {value!r}: it must be a number or a text with one") from None


def _nanos(value: Any, what: str) -> int:
    _exact(value, what)
    try:
        return to_nanos(value if isinstance(value, str | int | Decimal) else str(value))
    except ValueError as wrong:
        raise ValueError(f"{what}: {wrong}") from None


def _whole(value: Any, what: str) -> int:
    found = _exact(value, what)
    if found.denominator != 1 or found < 0:
        raise ValueError(f"{what} is {value!r}: it must be a whole number >= 0")
    return int(found)


def _text(value: Fraction) -> str:
    """Decimal text: exact where it ends within 18 decimals, else half up at 9."""
    for decimals in (*range(19), 9):
        scaled = value * 10**decimals
        if scaled.denominator == 1:
            break
    whole = rounded(value.numerator * 10**decimals, value.denominator, 1, "half_up")
    sign, digits = "-" if whole < 0 else "", str(abs(whole)).rjust(decimals + 1, "0")
    found = f"{digits[:-decimals]}.{digits[-decimals:]}".rstrip("0").rstrip(".") if decimals else digits
    return sign + found


def _rounding(case: Case, rate: Case) -> tuple[Mode, int]:
    said = rate.get("rounding") or case.get("rounding") or {"mode": "none", "decimals": None}
    mode, decimals = said.get("mode"), said.get("decimals")
    if mode not in MODES:
        raise ValueError(f"rounding mode {mode!r} is none of {', '.join(MODES)}")
    return MODES[mode], 9 if mode == "none" or decimals is None else _whole(decimals, "rounding decimals")


def _round(value: Fraction, mode: Mode, decimals: int) -> Fraction:
    return Fraction(rounded(value.numerator * 10**decimals, value.denominator, 1, mode), 10**decimals)


# --- rates -----------------------------------------------------------------------------------------------------------------------------


def _prefix(text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError(f"prefix is {text!r}: it must be text")
    found = "" if text == "*any" else text.removeprefix("^").removesuffix(".*").removeprefix("+")
    if found and not (found.isascii() and found.isdigit()):
        raise ValueError(f"prefix {text!r} is not digits")
    return found


def _window(said: Any) -> Window:
    if not said:
        return Window()
    found = re.fullmatch(r"(\d\d):(\d\d)(?::(\d\d))?", said.get("start") or "00:00:00", re.ASCII)
    start = sum(int(part or 0) * unit for part, unit in zip(found.groups(), (3600, 60, 1), strict=True)) if found else DAY_S
    if start >= DAY_S:
        raise ValueError(f"window start {said.get('start')!r} is no time of day: write 08:00:00")
    days, months, month_days = (frozenset(_whole(n, name) for n in said.get(name) or ()) for name in ("weekdays", "months", "month_days"))
    if days - set(range(1, 8)) or months - set(range(1, 13)) or month_days - set(range(1, 32)):
        raise ValueError("window: weekdays are 1 to 7, months 1 to 12, days of a month 1 to 31")
    return Window(days, months, month_days, from_s=start)


def _tariff(rate: Case) -> Tariff:
    if "price_per_increment" in rate:
        price, first_s, next_s = _nanos(rate["price_per_increment"], "price_per_increment"), *(_whole(rate[n], n) for n in ("initial_s", "next_s"))
        steps = [Step(0, price, first_s, first_s)] + ([Step(first_s, price, next_s, next_s)] if first_s != next_s else [])
    else:
        names = ("start_s", "price", "per_s", "increment_s")
        steps = [Step(*((_nanos if name == "price" else _whole)(step[name], name) for name in names)) for step in rate["steps"]]
    surcharge = rate.get("surcharge") or {}
    most = rate.get("max_cost")
    return Tariff(
        check_steps(sorted(steps)), _nanos(rate.get("connect_fee", 0), "connect_fee"), _nanos(rate.get("attempt_fee", 0), "attempt_fee"),
        bool(rate.get("step0_is_minimum")), _whole(rate.get("included_seconds") or 0, "included_seconds"),
        _whole(rate.get("grace_s") or 0, "grace_s"), _whole(rate.get("min_time_s") or 0, "min_time_s"), _nanos(rate.get("min_cost") or 0, "min_cost"),
        None if most is None or _disconnects(rate) else _nanos(most, "max_cost"),
        _nanos(surcharge.get("amount", 0), "surcharge amount"), _whole(surcharge.get("at_s", 0), "surcharge at_s"),
    )  # fmt: skip


def _disconnects(rate: Case) -> bool:
    return str(rate.get("max_cost_mode", "free")).lstrip("*") == "disconnect"


def _offers(case: Case) -> tuple[Deck, list[Case]]:
    rates: list[Case] = case["rates"]
    if not rates:
        raise ValueError("rates is empty")
    conditions = [Condition(window=_window(rate.get("window")), weight=_whole(rate.get("weight") or 0, "weight")) for rate in rates]
    unique = list(dict.fromkeys([NO_CONDITION, *conditions]))
    n = len(rates)
    return Deck(
        name="rates", deck_id="", currency="", prefixes=tuple(_prefix(rate.get("prefix", "")) for rate in rates), destinations=("",) * n,
        tariffs=tuple(map(_tariff, rates)), tariff=np.arange(n), from_ms=np.full(n, -(2**62)), to_ms=np.full(n, 2**62),
        conditions=tuple(unique), condition=np.asarray([unique.index(one) for one in conditions]),
    ), rates  # fmt: skip


def _call(case: Case) -> tuple[Call, int, int, bool]:
    """Numbers, the moment of the answer, talk time in ms and whether it was answered."""
    call = case.get("call") or {}
    number = str(call.get("dst", "")).removeprefix("+")
    at = call.get("answer_time")
    moment = datetime.fromisoformat(at) if at else datetime(1970, 1, 1, tzinfo=UTC)
    at_ms = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    talk = _exact(call.get("duration_s", 0), "duration_s")
    if talk < 0:
        raise ValueError(f"duration_s is {call['duration_s']}: it must be >= 0")
    source = str(call.get("src", "")).removeprefix("+")
    digits = Call(number if number.isascii() and number.isdigit() else "", source if source.isascii() and source.isdigit() else "")
    return digits, at_ms, round(talk * 1000), bool(call.get("answered", True)) and talk > 0


CHANGES: tuple[Change, ...] = ("call_start", "increment_start", "split")


def _fx(case: Case, rate: Case) -> Fraction:
    if "currency_rate" not in rate and "account_currency_rate" not in case:
        return Fraction(1)
    ours = _exact(case.get("account_currency_rate", 1), "account_currency_rate")
    if ours <= 0:
        raise ValueError("account_currency_rate must be > 0")
    return _exact(rate.get("currency_rate", 1), "currency_rate") / ours


def _rules(case: Case, rate: Case) -> Rules:
    said = case.get("boundary") or "call_start"
    change = next((one for one in CHANGES if one == said), None)
    if change is None:
        raise ValueError(f"boundary {said!r} is none of {', '.join(CHANGES)}")
    tax = _exact(rate.get("vat_percent") or 0, "vat_percent") * (MILLION // 100)
    if tax.denominator != 1:
        raise ValueError(f"vat_percent {rate.get('vat_percent')!r} has more than 4 decimals")
    fx, (mode, decimals) = _fx(case, rate), _rounding(case, rate)
    return Rules(change=change, rounding_mode=mode, decimals=min(decimals, 9), tax_ppm=int(tax), fx=(fx.numerator, fx.denominator))


def _price(case: Case) -> tuple[str, Any]:
    deck, rates = _offers(case)
    call, at_ms, talk_ms, answered = _call(case)
    said = case.get("call") or {}
    place = deck.find(call, at_ms, Rules())
    if place < 0:
        raise ValueError("no rate fits the call")
    rate = rates[place]
    rules = _rules(case, rate)
    continued = said.get("first_segment") is False
    one = price_one(deck, call, at_ms, talk_ms, answered, rules, continued=continued)
    if one.rate < 0:
        raise ValueError("the amount is beyond the range of one call's money")
    customer = rate.get("side", "customer") == "customer"
    if said.get("sent_to_vendor") is False or (customer and said.get("last_attempt") is False):
        one = one._replace(attempt_nanos=0)  # a carrier is paid for each attempt, a customer pays for the last one
    found = explain(Offer(deck, rules), one, at_ms, talk_ms, answered, continued=continued)
    if not one.attempt_nanos:
        found = msgspec.structs.replace(found, attempt_fee="0")
    mode, decimals = _rounding(case, rate)
    amount = _round(exact_of(found), mode, decimals)
    explanation = msgspec.to_builtins(found) | {"amount": _text(amount)}
    if said.get("reverse"):
        explanation["signed"] = _text(-amount)
    return _text(amount), explanation


def _max_duration(case: Case) -> tuple[str, Any]:
    deck, rates = _offers(case)
    call, at_ms, _, _ = _call(case)
    place = deck.find(call, at_ms, Rules())
    if place < 0:
        raise ValueError("no rate fits the call")
    rate = rates[place]
    rules = _rules(case, rate)
    money = _exact(case["balance"], "balance") - _exact(case.get("min_balance", 0), "min_balance")
    if _disconnects(rate) and rate.get("max_cost") is not None:
        money = min(money, _exact(rate["max_cost"], "max_cost"))
    seconds = seconds_for(Offer(deck, rules), call, at_ms, int(money * NANOS)) if money >= 0 else 0
    step = rate["steps"][0]
    converted = _exact(step["price"], "price") * _fx(case, rate)
    return str(seconds), {"money": _text(money), "converted_rate": _text(converted), "longest_s": LONGEST_S}


def _converted(case: Case) -> tuple[str, Any]:
    rate = case["rates"][0]
    fx = _fx(case, rate)
    price = _text(_exact(rate["steps"][0]["price"], "price") * fx)
    fee = _text(_exact(rate.get("attempt_fee", 0), "attempt_fee") * fx)
    return price, {"factor": _text(fx), "converted_rate": price, "converted_attempt_fee": fee}


# --- others ----------------------------------------------------------------------------------------------------------------------------


def _authorize(case: Case) -> tuple[str, Any]:
    """Whole increments that a balance pays for."""
    price, balance = _exact(case["price_per_increment"], "price_per_increment"), _exact(case["balance"], "balance")
    increment = _whole(case["increment_s"], "increment_s")
    if price < 0 or not increment:
        raise ValueError("price_per_increment must be >= 0 and increment_s > 0")
    increments = LONGEST_S // increment if not price else max(balance // price, 0)
    return str(increments * increment), {"increments": int(increments)}


def _reservation(case: Case) -> tuple[str, Any]:
    """A balance after a call that was reserved quota by quota: what was talked is paid, what was reserved beyond it is given back."""
    balance, price = _exact(case["balance"], "balance"), _exact(case["price_per_min"], "price_per_min")
    quota, talk = _exact(case["quota_s"], "quota_s"), _exact(case["talk_s"], "talk_s")
    if quota <= 0:
        raise ValueError("quota_s must be > 0")
    quotas = -(-talk // quota)
    reserved, paid = quotas * quota * price / 60, talk * price / 60
    explanation = {"quotas": int(quotas), "reserved": _text(reserved), "paid": _text(paid), "released": _text(reserved - paid)}
    return _text(balance - paid), explanation


def _tiers(case: Case) -> list[Tier]:
    return [
        Tier(
            None if tier.get("to") is None else _exact(tier["to"], "to"), _exact(tier.get("unit", 0), "unit"), _exact(tier.get("flat", 0), "flat")
        )
        for tier in case["tiers"]
    ]


def _usage(price: Callable[[Fraction, list[Tier]], Fraction]) -> Callable[[Case], tuple[str, Any]]:
    def answer(case: Case) -> tuple[str, Any]:
        amount = price(_exact(case["units"], "units"), _tiers(case))
        return _text(amount), {"units": str(case["units"]), "tiers": len(case["tiers"])}

    return answer


def _by_interval(case: Case) -> tuple[str, Any]:
    tiers = []
    for tier in case["tiers"]:
        interval = _exact(tier.get("interval", 1), "interval")
        if interval <= 0:
            raise ValueError("interval must be > 0")
        tiers.append(Interval(_exact(tier["to"], "to") - _exact(tier.get("from", 0), "from"), _exact(tier["price"], "price"), interval))
    amount = by_interval(_exact(case["volume"], "volume"), tiers, _exact(case.get("access_price", 0), "access_price"))
    return _text(amount), {"volume": str(case["volume"]), "tiers": len(tiers)}


def _duration(case: Case) -> tuple[str, Any]:
    mode, decimals = _rounding(case, {})
    return _text(_round(_exact(case["duration_s"], "duration_s"), mode, decimals)), {"rounding": mode, "decimals": decimals}


def _cost(case: Case) -> tuple[str, Any]:
    mode, decimals = _rounding(case, {})
    return _text(_round(_exact(case["amount"], "amount"), mode, decimals)), {"rounding": mode, "decimals": decimals}


def _failover(case: Case) -> tuple[str, Any]:
    """1 where the next carrier may be tried, else 0: it must not be dearer than the first by more than so many percent."""
    first, following = _exact(case["first_price"], "first_price"), _exact(case["next_price"], "next_price")
    most = first * (1 + _exact(case["max_increase_percent"], "max_increase_percent") / 100)
    allowed = following <= most
    return str(int(allowed)), {"allowed": allowed, "at_most": _text(most)}


def _profit(case: Case) -> tuple[str, Any]:
    """How many offers leave at least so much of the selling price."""
    sell, least = _exact(case["sell"], "sell"), _exact(case.get("min_profit", 0), "min_profit")
    eligible = sorted(offer for offer in (_exact(one, "offers") for one in case["offers"]) if sell - offer >= least)
    return str(len(eligible)), {"eligible": [_text(offer) for offer in eligible]}


KINDS: dict[str, Callable[[Case], tuple[str, Any]]] = {
    "price": _price,
    "price_per_increment": _price,
    "max_duration": _max_duration,
    "fx": _converted,
    "authorize_increment": _authorize,
    "reservation": _reservation,
    "settlement": _reservation,
    "graduated": _usage(graduated),
    "volume": _usage(volume),
    "tiered_volume": _by_interval,
    "duration_rounding": _duration,
    "cost_rounding": _cost,
    "failover_price_cap": _failover,
    "profit_floor": _profit,
}
