"""From a checked file to a config version in the books, in one transaction, and back from a version to a file."""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from books import Connection, configs, decks, lists, tenants
from core.config import Caps, Config
from core.config import faults as config_faults
from core.numbers import DialPlan, is_range
from core.safety import MAX_TTL_MS, named
from rating.contracts import ConfigError, compile_contracts
from rating.decks import Deck, DeckError, DeckFormat, read_deck, to_csv
from ringfence import files
from ringfence.config_file import PARTS, Named, Said, Wrong, file_of, look, render, shown
from switches.kamailio.tables import dial_plan_row

WORDS = {
    "accounts": "account",
    "carriers": "carrier",
    "trunks": "trunk",
    "trunk_groups": "trunk group",
    "ranges": "range",
    "dial_plans": "dial plan",
}

Stored = Callable[[str], bytes | None]
"""The CSV of a deck version that the books have."""


@dataclass(frozen=True)
class Checked:
    """A file that may be published."""

    said: Said
    csv: Mapping[str, bytes]  # deck -> its content

    @property
    def currencies(self) -> dict[str, str]:
        return {name: deck.currency for name, deck in self.said.decks.items()}


@dataclass(frozen=True)
class Published:
    """`version` is in force. `changes` says how it differs from the one before; none = it is that one."""

    version: int
    changes: list[str]
    notes: list[str]


def check(file: Path, stored: Stored) -> Checked:
    """Reads a file and everything that it names, and compiles it; nothing is written. `Wrong` tells every fault with its place."""
    said, faults = look(_text(file))
    unread = {fault.partition(":")[0] for fault in faults}
    found = [*_parties(said), *_references(said, unread)]
    csv: dict[str, bytes] = {}
    read: dict[str, Deck] = {}
    for name, deck in said.decks.items():
        if any(place == f"decks.{name}" or place.startswith(f"decks.{name}.") for place in unread):
            continue
        try:
            content = _content(deck, file.parent, stored)
            read[name] = read_deck(content, name, deck.currency, deck.written or DeckFormat())
            csv[name] = to_csv(read[name]) if deck.written else content  # the books keep decks in one spelling
        except DeckError as error:
            words = str(error).removeprefix(f"deck {name}: ").removeprefix(f"deck {name}, ")
            found.append(f"decks.{name} ({deck.file or deck.version}): {words}")
        except OSError as error:
            found.append(f"decks.{name}.file: {file_of(deck, file.parent)}: {error.strerror}")
        except ValueError as error:  # also a NUL in the name of a file
            found.append(f"decks.{name}: {error}")
    faults += [fault for fault in found if not _follows(fault.partition(": ")[0], unread)]
    if faults:
        raise Wrong(faults)
    if wrong := config_faults(said.config):
        raise Wrong(wrong)
    try:
        compile_contracts(said.config, read)
    except ConfigError as error:
        raise Wrong([str(error).removeprefix("config 0: ")]) from None
    return Checked(said, csv)


def _follows(place: str, unread: set[str]) -> bool:
    """Whether what is found at a place only says again that it could not be read.

    >>> _follows("accounts[0].name", {"accounts[0].name"}), _follows("accounts[1].tenant", {"tenants[0]"})
    (True, True)
    >>> _follows("accounts[0].caps.money_day", {"accounts[0].caps.money_hour"})
    False
    """
    no_tenants = place.endswith(".tenant") and any(one == "tenants" or one.startswith("tenants[") for one in unread)
    return place in unread or no_tenants


def _text(file: Path) -> str:
    try:
        return files.read(file, files.CONFIG_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise Wrong([f"the file cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise Wrong([f"the file cannot be read: {error}"]) from None


def _content(deck: Named, beside: Path, stored: Stored) -> bytes:
    if bool(deck.file) == bool(deck.version):
        raise ValueError("name a file (its CSV, relative to this file) or a version (of the books), one of the two")
    if deck.version and deck.written:
        raise ValueError("written: says how a file is written; what the books have is in our own spelling")
    if not (len(deck.currency) == 3 and deck.currency.isascii() and deck.currency.isupper()):
        raise ValueError(f"currency {deck.currency!r} is not a code of three letters such as EUR")
    if deck.file:
        return files.read(file_of(deck, beside), files.DECK_BYTES)
    content = stored(deck.version)
    if content is None:
        raise ValueError(f"the books have no deck version {deck.version}")
    return content


def _parties(said: Said) -> list[str]:
    """Names and numbers that are none, and what comes twice."""
    config, faults = said.config, []
    for at, tenant in enumerate(said.tenants):
        if not named(tenant) or set(tenant) & set("@+"):
            faults.append(f"tenants[{at}]: {tenant!r} is no tenant's name: letters, digits, . _ -, at most 64")
    for part in PARTS:
        seen: Counter[tuple[str, str]] = Counter()
        for at, row in enumerate(getattr(config, part)):
            place, tenant = f"{part}[{at}]", getattr(row, "tenant", "")
            if part == "ranges":
                if not _is_range(row.name):
                    faults.append(f"{place}.b_range: {row.name!r} is not 1 to 15 digits from the country code on (no +, no 0 first)")
            elif not named(row.name):
                faults.append(f"{place}.name: {row.name!r} is not a name (letters, digits, . _ - @ +, at most 64)")
            if hasattr(row, "tenant") and tenant not in said.tenants:
                faults.append(f"{place}.tenant: {tenant!r} is not among the tenants of the file")
            seen[tenant, row.name] += 1
            if seen[tenant, row.name] == 2 and row.name:
                faults.append(f"{place}.{'b_range' if part == 'ranges' else 'name'}: there is {WORDS[part]} {row.name!r} already")
            for field in ("caps", "destination_caps", "unpriced_caps"):
                faults += _negative(getattr(row, field, Caps()), f"{place}.{field}")
            if part in ("carriers", "trunk_groups") and row.caps.calls_per_second is not None:
                faults.append(
                    f"{place}.caps.calls_per_second: counts how calls come in, before a {WORDS[part]} is chosen: set it on accounts, "
                    "trunks or ranges"
                )
            for number, digits in enumerate(getattr(row, "caller_ranges", ())):
                if not _is_range(digits):
                    faults.append(
                        f"{place}.caller_ranges[{number}]: {digits!r} is not 1 to 15 digits from the country code on (no +, no 0 first)"
                    )
    faults += _negative(config.policy, "policy")
    if config.policy.order_ttl_ms > MAX_TTL_MS:
        faults.append("policy.order_ttl: must be at most 7d: no order lives longer, so each of them would be refused")
    for at, plan in enumerate(config.dial_plans):
        faults += [f"dial_plans[{at}]: {fault}" for fault in _plan_faults(plan)]
        if plan.short_max < 0:
            faults.append(f"dial_plans[{at}].short_max: must not be negative")
    for name in said.decks:
        if not named(name):
            faults.append(f"decks.{name}: {name!r} is not a name (letters, digits, . _ - @ +, at most 64)")
    return faults


def _is_range(digits: str) -> bool:
    return bool(digits) and is_range(digits)


def _plan_faults(plan: DialPlan) -> list[str]:
    """What a switch's table does not take of a dial plan, each field and each of a list apart.

    >>> for fault in _plan_faults(DialPlan(country_code="AT", emergency=("112", "1 1 2"))):
    ...     print(fault)
    country code 'AT' has a character that the switch's tables do not take
    emergency number '1 1 2' has a character that the switch's tables do not take
    """
    faults = []
    for field, value in msgspec.structs.asdict(plan).items():
        for one in filter(None, value) if isinstance(value, tuple) else [value]:
            try:
                dial_plan_row(DialPlan(**{field: (one,) if isinstance(value, tuple) else one}))
            except ValueError as error:
                faults.append(str(error))
    return faults


def _negative(struct: msgspec.Struct, place: str) -> list[str]:
    """Nothing in caps and policy is ever below zero; a length of time in the policy is more than that."""
    faults = []
    for name, value in msgspec.structs.asdict(struct).items():
        if value is None or isinstance(value, (str, bool)):
            continue
        if isinstance(value, dict):
            faults += [f"{place}.{shown(name)}.{key}: must be more than nothing" for key, one in value.items() if not 0 < one < math.inf]
            continue
        if not value >= 0:  # also what is no number at all (nan)
            faults.append(f"{place}.{shown(name)}: must not be negative")
        elif math.isinf(value):
            faults.append(f"{place}.{shown(name)}: must be a number")
        elif not value and name.endswith(("_s", "_ms")):
            faults.append(f"{place}.{shown(name)}: must be more than nothing")
    return faults


def _references(said: Said, unread: set[str]) -> list[str]:
    """Names that lead nowhere, and addresses that would be two trunks. Where a name could not be read, it may be the one that is meant."""
    config, faults = said.config, []
    accounts = {(a.tenant, a.name) for a in config.accounts}
    carriers = {(c.tenant, c.name) for c in config.carriers}
    plans = {plan.name for plan in config.dial_plans}

    def deck(place: str, name: str) -> None:
        if name and name not in said.decks:
            faults.append(f"{place}: no deck {name!r}")

    for at, account in enumerate(config.accounts):
        deck(f"accounts[{at}].sell_deck", account.sell_deck)
    for at, carrier in enumerate(config.carriers):
        deck(f"carriers[{at}].buy_deck", carrier.buy_deck)
    deck("default_sell_deck", config.default_sell_deck)
    deck("default_buy_deck", config.default_buy_deck)

    def whole(part: str) -> bool:
        return not any(place == part or (place.startswith(f"{part}[") and place.endswith(("]", ".name", ".tenant"))) for place in unread)

    taken: dict[Any, str] = {}
    for at, trunk in enumerate(config.trunks):
        place = f"trunks[{at}]"
        if trunk.account and whole("accounts") and whole("tenants") and (trunk.tenant, trunk.account) not in accounts:
            faults.append(f"{place}.account: no account {trunk.account!r}")
        if trunk.carrier and whole("carriers") and whole("tenants") and (trunk.tenant, trunk.carrier) not in carriers:
            faults.append(f"{place}.carrier: no carrier {trunk.carrier!r}")
        if whole("dial_plans") and trunk.dial_plan not in plans:
            faults.append(f"{place}.dial_plan: no dial plan {trunk.dial_plan!r}")
        if trunk.max_call_s <= 0:
            faults.append(f"{place}.max_call: must be more than nothing")
        for number, source in enumerate(trunk.sources):
            try:
                network = ipaddress.ip_network(source)
            except ValueError as error:
                faults.append(f"{place}.sources[{number}]: {error}")
                continue
            if network in taken:
                faults.append(
                    f"{place}.sources[{number}]: {source} is trunk {taken[network]}'s already: a call from there is one or the other"
                )
            taken.setdefault(network, trunk.name)
    return faults


# --- into the books ---


def publish(conn: Connection, checked: Checked, who: str, why: str, now_ms: int) -> Published:
    """Makes the file the config version in force, unless it is that already."""
    said = checked.said
    kept = {
        name: decks.add(conn, name, checked.csv[name], currency, who, now_ms) for name, currency in checked.currencies.items()
    }
    number = configs.latest(conn)
    before = configs.load(conn, number) if number else Config(version=0, dial_plans=())
    config = _whole(conn, said.config, kept, number)
    changes = differences(before, config)
    if not changes:
        return Published(number, [], [])
    known = tenants.every(conn)
    for tenant in said.tenants:
        tenants.add(conn, tenant, now_ms)
    tenants.replace(conn, config, now_ms)
    number = configs.publish(conn, config, who, why, now_ms)
    return Published(number, changes, _notes(said, known))


def would_change(conn: Connection, checked: Checked) -> list[str]:
    """How the file differs from what is in force."""
    number = configs.latest(conn)
    before = configs.load(conn, number) if number else Config(version=0, dial_plans=())
    kept = {name: decks.version_id(name, checked.csv[name], currency) for name, currency in checked.currencies.items()}
    return differences(before, _whole(conn, checked.said.config, kept, number))


def _whole(conn: Connection, config: Config, kept: dict[str, str], number: int) -> Config:
    protected = lists.protected(conn)
    return msgspec.structs.replace(
        config,
        version=number,
        decks=kept,
        protected_numbers=protected.numbers,
        protected_accounts=tuple(sorted(protected.accounts)),
        protected_trunks=tuple(sorted(protected.trunks)),
    )


def differences(old: Config, new: Config) -> list[str]:
    """What a person would say that is different: + is new, - is gone, ~ is another.

    >>> from core.config import Account
    >>> acme, blue = Account(tenant="t1", name="acme"), Account(tenant="t1", name="blue", sell_deck="basic")
    >>> differences(Config(version=1, accounts=(acme,)), Config(version=2, accounts=(blue,)))
    ['+ account t1/blue', '- account t1/acme']
    """
    found = []
    for part, word in WORDS.items():
        rows = [{(getattr(row, "tenant", ""), row.name): row for row in getattr(config, part)} for config in (old, new)]
        found += _compared(word, *({"/".join(filter(None, key)): row for key, row in one.items()} for one in rows))
    found += [f"+ deck {name}" for name in new.decks if name not in old.decks]
    found += [f"- deck {name}" for name in old.decks if name not in new.decks]
    found += [
        f"~ deck {name}: another price list" for name in new.decks if old.decks.get(name, new.decks[name]) != new.decks[name]
    ]
    found += _compared("", {"policy": old.policy}, {"policy": new.policy})
    for field in ("protected_numbers", "protected_accounts", "protected_trunks"):
        was, now = set(getattr(old, field)), set(getattr(new, field))
        if was != now:
            found.append(f"~ {field.replace('_', ' ')}: the list as it stands now ({len(now - was)} new, {len(was - now)} gone)")
    for field in ("self_register", "default_sell_deck", "default_buy_deck"):
        if getattr(old, field) != getattr(new, field):
            found.append(f"~ {field}: {getattr(old, field) or 'none'} -> {getattr(new, field) or 'none'}")
    if not found and any(getattr(old, part) != getattr(new, part) for part in PARTS):
        found.append("~ the order in the file")
    return found


def _compared(word: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found = [f"+ {word} {name}".replace("  ", " ") for name in new if name not in old]
    found += [f"- {word} {name}".replace("  ", " ") for name in old if name not in new]
    for name in new:
        if name in old and old[name] != new[name]:
            fields = [f for f in new[name].__struct_fields__ if getattr(old[name], f) != getattr(new[name], f)]
            found.append(f"~ {word} {name}: ".replace("  ", " ") + ", ".join(map(shown, fields)))
    return found


def _notes(said: Said, known: list[str]) -> list[str]:
    """What a person has to know besides."""
    notes = []
    for tenant in said.tenants:
        if tenant not in known:
            notes.append(
                f"Tenant {tenant} is new: `ringfence credential add --tenant {tenant} --switch NAME` lets its switch post records."
            )
    for tenant in known:
        if tenant not in said.tenants:
            notes.append(f"Tenant {tenant} has nobody in it any more: what its switches post from now on is unrated.")
    return notes


# --- out of the books ---


def as_file(conn: Connection, version: int, out: Path | None = None) -> str:
    """A version as a file. With `out`: the file and its decks are written there; else decks are named by the versions that the
    books have."""
    config = configs.load(conn, version)
    named_decks: dict[str, Named] = {}
    files: dict[str, bytes] = {}
    for name, version_id in config.decks.items():
        _, currency, csv = decks.content(conn, version_id)
        if out is None:
            named_decks[name] = Named(currency=currency, version=version_id)
        else:
            files[f"decks/{name}.csv"] = csv
            named_decks[name] = Named(currency=currency, file=f"decks/{name}.csv")
    order = dict.fromkeys(
        [one.tenant for one in config.accounts] + [one.tenant for one in config.carriers] + [one.tenant for one in config.trunks]
    )
    text = render(config, tuple(order) or tuple(tenants.every(conn)), named_decks)
    if out is not None:
        for name, content in {**files, "config.yaml": text.encode()}.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(content)
    return text
