"""Config versions: publishes a checked file, or a few changed rows, as a version in the books, and writes a version as a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from books import Connection, configs, decks, lists, tenants
from books.decks import DeckVersion
from core.config import KEPT, ROWS, Config, RoutePlan, Trunk, faults_of, faults_of_routes, path
from core.parts import Slot, bucket_of, decode_part, encode_part, hash_of, join, rows_of, slot_of, split
from core.policy import Policy
from rating.decks import DeckError, DeckFormat, read_deck, to_csv
from services import files
from services.config_file import Contents, DeckEntry, Wrong, read, render, row_faults, shared_sources, shown
from services.in_force import View

SINGULAR = {
    "legal_entities": "legal entity",
    "tax_tables": "tax table",
    "tax_profiles": "tax profile",
    "parties": "party",
    "agreements": "agreement",
    "accounts": "account",
    "carriers": "carrier",
    "trunks": "trunk",
    "trunk_groups": "trunk group",
    "ranges": "range",
    "dial_plans": "dial plan",
    "portability": "portability",
    "route_plans": "route plan",
}
NAMES = {"account": "accounts", "carrier": "carriers", "dial_plan": "dial_plans", "party": "parties", "parent": "parties",
         "route_plan": "route_plans", "then": "route_plans", "portability": "portability",
         "agreement": "agreements", "sell_deck": "decks", "buy_deck": "decks", "deck": "decks",
         "tax_profile": "tax_profiles", "issuer": "legal_entities", "tax": "tax_tables"}  # fmt: skip
"""Field -> the kind of row that it refers to."""

@dataclass(frozen=True)
class Checked:
    """A file that may be published: the complete config of its tenants."""

    config: Config  # without its decks
    decks: Mapping[tuple[str, str], DeckVersion]  # by tenant and name
    tenants: tuple[str, ...]

    def parts(self) -> dict[Slot, Any]:
        """Its parts, as they will be in the books."""
        ids = {path(*key): decks.version_id(deck.csv, deck.currency) for key, deck in self.decks.items()}
        return split(msgspec.structs.replace(self.config, decks=ids))


@dataclass(frozen=True)
class Published:
    """`version` is in force. `changes`: how it differs from the one before; none = it is the same."""

    version: int
    changes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parts: int = 0  # written


class Name(NamedTuple):
    """A row of the config in force, by its name."""

    kind: str  # a key of `core.config.ROWS`
    tenant: str
    name: str


# --- checking ---


def check(file: Path, conn: Connection | None = None) -> Checked:
    """Reads a file and its price lists; writes nothing. `Wrong` has every fault with its place.

    Without books, deck versions and the addresses of other tenants are unknown.
    """
    try:
        text = files.read(file, files.CONFIG_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise Wrong([f"the file cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise Wrong([f"the file cannot be read: {error}"]) from None
    contents, faults = read(text)
    priced: dict[tuple[str, str], DeckVersion] = {}
    for (tenant, name), entry in contents.decks.items():
        place = f"{contents.tenants[tenant]}decks.{name}"
        if any(one == place or one.startswith(f"{place}.") for one in contents.unread) or bool(entry.file) == bool(entry.version):
            continue
        try:
            found = priced[tenant, name] = _price_list(name, entry, file.parent, conn)
            known = {one.name.lower() for one in contents.config.holidays if one.tenant in ("", tenant)}
            absent = sorted(_holiday_lists(name, found) - known)
            faults += [f"{place}: a window names the holiday list {one!r}, which is not in holidays" for one in absent]
        except DeckError as error:
            reason = str(error).removeprefix(f"deck {name}: ").removeprefix(f"deck {name}, ")
            faults.append(f"{place} ({entry.file or entry.version}): {reason}")
        except OSError as error:
            faults.append(f"{place}.file: {file.parent / entry.file}: {error.strerror}")
        except ValueError as error:  # also a NUL in the name of a file
            faults.append(f"{place}: {error}")
    faults += _references(contents)
    if conn is not None:
        taken = _taken(View(conn), lambda trunk: trunk.tenant not in contents.tenants)
        for at, trunk in enumerate(contents.config.trunks if taken else ()):
            faults += [f"{contents.places['trunks', at]}.sources: {fault}" for fault in shared_sources(trunk, taken)]
    if faults:
        raise Wrong(faults)
    return Checked(contents.config, priced, tuple(contents.tenants))


def _price_list(name: str, entry: DeckEntry, beside: Path, conn: Connection | None) -> DeckVersion:
    if entry.version:
        found = decks.find(conn, entry.version) if conn is not None else None
        if found is None:
            raise ValueError(f"the books have no deck version {entry.version}")
        if found.currency != entry.currency:
            raise ValueError(f"deck version {entry.version} is in {found.currency}, not in {entry.currency}")
        return found
    csv = files.read(beside / entry.file, files.DECK_BYTES)
    deck = read_deck(csv, name, entry.currency, entry.written or DeckFormat())
    return DeckVersion(entry.currency, to_csv(deck) if entry.written else csv)  # the books have all decks in one format


def _holiday_lists(name: str, version: DeckVersion) -> set[str]:
    """The holiday lists that the windows of a deck name."""
    if not re.search(rb"(?i)(holiday|workday):", version.csv.replace(b"\0", b"")):
        return set()
    return {window.holidays for window in read_deck(version.csv, name, version.currency).windows if window.holidays}


def _references(contents: Contents) -> list[str]:
    """References to missing rows. If a name could not be read, a reference may mean that one and is not reported."""
    config, unread = contents.config, contents.unread
    known = {(kind, row.tenant, row.name): row for kind, row in rows_of(config)}
    currencies = {key: deck.currency for key, deck in contents.decks.items()}
    unsure = {found[1] for place in unread if (found := re.search(r"(?:^|\.)(\w+)(?:\[\d+\](?:\.name)?)?$", place))}

    def find(kind: str, tenant: str, name: str) -> Any:
        if kind == "decks":
            return currencies.get((tenant, name))
        return known.get((kind, tenant, name))

    faults = []
    positions = dict.fromkeys(ROWS, -1)
    for kind, row in rows_of(config):
        positions[kind] += 1
        place = contents.places[kind, positions[kind]]
        for name, fault in faults_of(kind, row, find):
            if f"{place}.{name}" not in unread and not (fault.startswith("no ") and NAMES[name.rpartition(".")[2]] in unsure):
                faults.append(f"{place}.{name}: {fault}")
    return faults


# --- into the books ---


def publish(conn: Connection, checked: Checked, who: str, why: str, now_ms: int) -> Published:
    """Publishes a file as the next version: it replaces the config of its tenants. Does nothing if it is in force already."""
    for deck in checked.decks.values():
        decks.add(conn, deck.csv, deck.currency, who, now_ms)
    known = tenants.every(conn)
    for tenant in checked.tenants:
        tenants.add(conn, tenant, now_ms)
    done = _publish(conn, *_whole(conn, checked), who, why, now_ms)
    notes = [
        f"Tenant {tenant} is new: `ringfence credential add --tenant {tenant} --switch NAME` lets its switch post records."
        for tenant in checked.tenants
        if tenant not in known
    ]
    notes += [
        f"Tenant {tenant} has no accounts or trunks: what its switches post from now on is unrated."
        for tenant in checked.tenants
        if done.changes and tenant not in {row.tenant for _, row in rows_of(checked.config)}
    ]
    return Published(done.version, done.changes, notes if done.changes else [], done.parts)


def would_change(conn: Connection, checked: Checked) -> list[str]:
    """How a file differs from the config in force."""
    before, after, contents = _whole(conn, checked)
    _with_lists(conn, after, contents)
    return _differences(conn, before, after, contents)


def change(
    conn: Connection, rows: Iterable[Any], removed: Iterable[Name], who: str, why: str, now_ms: int,
    named: Mapping[tuple[str, str], str | None] = {},
) -> Published:  # fmt: skip
    """Puts and removes a few rows of the config in force, as the next version; `Wrong` has every fault. `named`: decks by tenant and name,
    each with the id of its version in the books, None = the name is no longer used.

    Only the parts of these rows are read and written, so that one agreement among 100,000 accounts is published in the time of one.
    References to a removed row are checked in all rows of its tenant.
    """
    put, gone = list(rows), list(removed)
    view = View(conn)
    faults = []
    touched: dict[Slot, dict[str, Any]] = {}
    for row in put:
        kind = kind_of(row)
        faults += [f"{kind} {path(row.tenant, row.name)}: {fault}" for fault in row_faults(row)]
        touched.setdefault(slot_of(kind, row), {})[row.name] = row
    for name in gone:
        touched.setdefault(Slot(name.tenant, name.kind, bucket_of(name.name)), {})[name.name] = None
        if view.find(*name) is None:
            faults.append(f"{name.kind} {path(name.tenant, name.name)}: there is none")
    for slot, changed in touched.items():
        view.rows(slot).update(changed)
    lists_of_decks = {tenant: _decks_with(view, tenant, named) for tenant in {tenant for tenant, _ in named}}
    asked: list[Any] = put if not gone else view.every(ROWS, {name.tenant for name in gone})
    if faults:  # the references of an invalid row are not checked
        raise Wrong(faults)
    for row in asked:
        kind = kind_of(row)
        faults += [f"{kind} {path(row.tenant, row.name)}: {name}: {fault}" for name, fault in faults_of(kind, row, view.find)]
    faults += _sources(view, [row for row in put if isinstance(row, Trunk)])
    faults += _gateways(view, {row.tenant for row in put if isinstance(row, (RoutePlan, Trunk))} | {name.tenant for name in gone})
    for tenant in {slot.tenant for slot in touched} - set(tenants.every(conn)):
        faults.append(f"there is no tenant {tenant!r}")
    if faults:
        raise Wrong(faults)
    after, contents = dict(view.hashes), {}
    for slot in touched:
        left = [row for row in view.rows(slot).values() if row is not None]
        after.pop(slot, None)
        if left:
            contents[slot] = encode_part(left)
            after[slot] = hash_of(contents[slot])
    for tenant, ids in lists_of_decks.items():
        slot = Slot(tenant, "decks")
        after.pop(slot, None)
        if ids:
            contents[slot] = encode_part(ids)
            after[slot] = hash_of(contents[slot])
    return _publish(conn, view.hashes, after, contents, who, why, now_ms)


def publish_policy(conn: Connection, tenant: str, policy: Policy, who: str, why: str, now_ms: int) -> Published:
    """Publishes the policy of a tenant, and nothing else, as the next version."""
    view = View(conn)
    slot = Slot(tenant, "policy")
    contents = {slot: encode_part(policy)}
    return _publish(conn, view.hashes, {**view.hashes, slot: hash_of(contents[slot])}, contents, who, why, now_ms)


def _decks_with(view: View, tenant: str, named: Mapping[tuple[str, str], str | None]) -> dict[str, str]:
    """The decks of a tenant with the named ones changed; rows that are checked from now on find them so."""
    ids = view.decks(tenant)
    for (owner, name), deck_id in named.items():
        if owner == tenant and deck_id is None:
            ids.pop(name, None)
        elif owner == tenant and deck_id is not None:
            ids[name] = deck_id
    view.put_decks(tenant, ids)
    return ids


def _sources(view: View, trunks: list[Trunk]) -> list[str]:
    if not any(trunk.sources for trunk in trunks):
        return []
    put = {(trunk.tenant, trunk.name) for trunk in trunks}
    taken = _taken(view, lambda trunk: (trunk.tenant, trunk.name) not in put)
    return [f"trunks {path(row.tenant, row.name)}: sources: {fault}" for row in trunks for fault in shared_sources(row, taken)]


def _gateways(view: View, of: set[str]) -> list[str]:
    """Carriers of the route plans of some tenants that have no gateway."""
    plans = view.every(("route_plans",), of)
    found = faults_of_routes(plans, view.every(("trunks",), of)) if plans else ()
    return [f"route_plans {path(plan.tenant, plan.name)}: {field}: {reason}" for plan, field, reason in found]


def _taken(view: View, counts: Callable[[Trunk], bool]) -> dict[Any, str]:
    """Network -> trunk, over all tenants: an address belongs to one trunk, since it is all by which a switch identifies a caller."""
    taken: dict[Any, str] = {}
    for trunk in filter(counts, view.every(("trunks",))):
        list(shared_sources(trunk, taken))
    return taken


def kind_of(row: Any) -> str:
    """The kind of a row.

    >>> kind_of(Trunk(tenant="t1", name="in"))
    'trunks'
    """
    return next(kind for kind, struct in ROWS.items() if type(row) is struct)


Hashes = dict[Slot, str]


def _whole(conn: Connection, checked: Checked) -> tuple[Hashes, Hashes, dict[Slot, bytes]]:
    """The parts in force, the parts after a file is published, and the contents of the new ones."""
    before = configs.parts(conn, configs.latest(conn))
    contents = {slot: encode_part(content) for slot, content in checked.parts().items()}
    hashes = {slot: hash_of(data) for slot, data in contents.items()}
    after = {slot: part for slot, part in before.items() if slot.tenant not in checked.tenants or slot.kind in KEPT | {"protected"}}
    return before, after | hashes, {slot: data for slot, data in contents.items() if before.get(slot) != hashes[slot]}


def _with_lists(conn: Connection, after: Hashes, contents: dict[Slot, bytes]) -> None:
    """Puts the current protected lists into the parts."""
    for slot in [slot for slot in after if slot.kind == "protected"]:
        del after[slot]
    protected = lists.protected(conn)
    config = Config(
        protected_numbers=protected.numbers,
        protected_accounts=tuple(protected.accounts),
        protected_trunks=tuple(protected.trunks),
    )
    for slot, content in split(config).items():
        contents[slot] = encode_part(content)
        after[slot] = hash_of(contents[slot])


def _publish(
    conn: Connection, before: Hashes, after: Hashes, contents: dict[Slot, bytes], who: str, why: str, now_ms: int
) -> Published:
    _with_lists(conn, after, contents)
    changes = _differences(conn, before, after, contents)
    if not changes:
        return Published(configs.latest(conn))
    new = {slot: contents[slot] for slot in contents if before.get(slot) != after[slot]}
    number = configs.add(conn, after, new, who, why, now_ms)
    return Published(number, changes, [], len(new))


# --- differences ---


def _differences(conn: Connection, before: Hashes, after: Hashes, contents: dict[Slot, bytes]) -> list[str]:
    changed = [slot for slot in before.keys() | after.keys() if before.get(slot) != after.get(slot)]
    old = configs.decoded(conn, {slot: before[slot] for slot in changed if slot in before})
    new = {slot: decode_part(slot.kind, contents[slot]) for slot in changed if slot in after}
    return differences(join(0, old), join(0, new))


def differences(old: Config, new: Config) -> list[str]:
    """How one config differs from another, one line each: + is new, - is gone, ~ is changed.

    >>> from core.config import Account
    >>> acme, blue = Account(tenant="t1", name="acme"), Account(tenant="t1", name="blue", sell_deck="basic")
    >>> differences(Config(accounts=(acme,)), Config(accounts=(blue,)))
    ['+ account t1/blue', '- account t1/acme']
    """
    found = []
    for kind, singular in SINGULAR.items():
        rows = ({path(row.tenant, row.name): row for row in getattr(config, kind)} for config in (old, new))
        found += _compared(singular, *rows)
    ranges, ranges_now = set(old.known_ranges), set(new.known_ranges)
    if ranges != ranges_now:
        found.append(f"~ known ranges: {len(ranges_now - ranges):,} put, {len(ranges - ranges_now):,} gone or replaced")
    found += [f"+ deck {name}" for name in new.decks if name not in old.decks]
    found += [f"- deck {name}" for name in old.decks if name not in new.decks]
    found += [f"~ deck {name}: another price list" for name in new.decks if old.decks.get(name, new.decks[name]) != new.decks[name]]
    for tenant in sorted(old.policies.keys() | new.policies.keys()):
        was, now = (config.policies.get(tenant, Policy()) for config in (old, new))
        found += _compared("policy", {tenant: was}, {tenant: now})
    for name in ("protected_numbers", "protected_accounts", "protected_trunks"):
        listed, lists_now = set(getattr(old, name)), set(getattr(new, name))
        if listed != lists_now:
            counts = f"{len(lists_now - listed)} new, {len(listed - lists_now)} gone"
            found.append(f"~ {name.replace('_', ' ')}: the list as it stands now ({counts})")
    return found


def _compared(singular: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found = [f"+ {singular} {name}" for name in new if name not in old]
    found += [f"- {singular} {name}" for name in old if name not in new]
    for name, row in new.items():
        if name in old and old[name] != row:
            fields = [one for one in row.__struct_fields__ if getattr(old[name], one) != getattr(row, one)]
            found.append(f"~ {singular} {name}: " + ", ".join(map(shown, fields)))
    return found


# --- out of the books ---


def as_file(conn: Connection, version: int, out: Path | None = None) -> str:
    """A version as a file. With `out`, the file and its decks are written there; else it refers to deck versions in the books."""
    config = configs.load(conn, version)
    owners = {row.tenant for _, row in rows_of(config)} | config.policies.keys()
    entries: dict[tuple[str, str], DeckEntry] = {}
    written: dict[str, bytes] = {}
    keys = {name: tuple(name.split("/", 1)) for name in config.decks}
    names = sorted(owners | {tenant for tenant, _ in keys.values()}) or tenants.every(conn)
    for key, deck_id in config.decks.items():
        tenant, name = keys[key]
        deck = decks.content(conn, deck_id)
        if out is None:
            entries[tenant, name] = DeckEntry(currency=deck.currency, version=deck_id)
        else:
            file = f"decks/{name}.csv" if len(names) == 1 else f"decks/{key}.csv"
            written[file] = deck.csv
            entries[tenant, name] = DeckEntry(currency=deck.currency, file=file)
    text = render(config, entries, names)
    if out is not None:
        for file, content in {**written, "config.yaml": text.encode()}.items():
            (out / file).parent.mkdir(parents=True, exist_ok=True)
            (out / file).write_bytes(content)
    return text
