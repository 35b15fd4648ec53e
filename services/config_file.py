"""The config file: accounts, carriers, trunks, decks and policy.

One model reads, checks and writes it. Its fields are those of `core.config`, spelled for people: money is decimal text, lengths of
time have units, a time is a date. Which field is which follows from its name there: `money_hour_nanos` is `money_hour: "500"` in the
file, `max_call_s` is `max_call: 4h`, `from_at_ms` is `from: 2026-01-31`. YAML's own guesses are not used: `00` stays `00`, `no` stays `no`.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from textwrap import indent
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, ValidationError, WrapValidator
from pydantic_core import ErrorDetails

from books.tenants import is_name
from core import durations
from core.config import KEPT, ROWS, Agreement, Config, DeckSpan, Trunk, faults_of_routes
from core.currencies import is_code
from core.money import to_nanos, to_text
from core.numbers import DialPlan, is_range
from core.parts import rows_of
from core.policy import Policy
from core.policy import faults as policy_faults
from core.safety import is_table_name
from detectors.registry import detectors, parameters_of
from detectors.registry import faults as parameter_faults
from rating import window
from rating.decks import DeckFormat
from switches.desired import plan_name
from switches.kamailio.tables import dial_plan_row

HEAD = """\
# Ringfence: who calls, who carries, what it costs, and when it is suspicious. `ringfence config publish FILE --why TEXT` puts it in force.
# Money is decimal, in the currency of the deck; lengths of time are 30s, 15m, 4h, 7d. What is absent is at its default.
"""
DEEPEST = 32
"""Levels of nested lists and mappings; a valid file has seven."""


class DeckEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A deck in the file: a CSV beside it, or a version in the books. `written`: the format of the CSV, if it is not ours."""

    currency: str
    file: str = ""
    version: str = ""
    written: DeckFormat | None = None


class Wrong(Exception):
    """The faults of a file: one line each, with its place."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Contents(NamedTuple):
    """The content of a file, by tenant. `config.decks` is empty: only the books know the versions of decks."""

    config: Config
    decks: dict[tuple[str, str], DeckEntry]  # by tenant and name
    tenants: dict[str, str]  # name -> the place of its part of the file: "", or "tenants.NAME."
    places: dict[tuple[str, int], str]  # kind and position in `config` -> the place of the row
    unread: set[str]  # places whose value could not be read


# --- values ---


def shown(name: str) -> str:
    """A field's name in the file: the unit is in the value.

    >>> shown("money_hour_nanos"), shown("max_call_s"), shown("from_at_ms"), shown("sell_deck")
    ('money_hour', 'max_call', 'from', 'sell_deck')
    """
    return re.sub(r"_(nanos|at_ms|ms|s)$", "", name)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be one value, not a list or a mapping")
    return value


def _nonempty(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text")
    return value


def _tenant(value: Any) -> str:
    if not is_name(_text(value)):
        raise ValueError(f"{value!r} is no tenant's name: letters, digits, . _ -, at most 64")
    return str(value)


def _name(value: Any) -> str:
    if not is_table_name(_text(value)):
        raise ValueError(f"{value!r} is not a name (letters, digits, . _ - @ +, at most 64)")
    return str(value)


def _digits(value: Any) -> str:
    if not is_range(_nonempty(value)):
        raise ValueError(f"{value!r} is not 1 to 15 digits from the country code on (no +, no 0 first)")
    return str(value)


def _network(value: Any) -> str:
    ipaddress.ip_network(_nonempty(value))
    return str(value)


def _zone(value: Any) -> str:
    try:
        ZoneInfo(_text(value))
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{value!r} is not a time zone such as Europe/Vienna or UTC") from None
    return str(value)


def _currency(value: Any) -> str:
    if not is_code(_text(value)):
        raise ValueError(f"{value!r} is not a code of three capitals such as EUR")
    return str(value)


def _yes(value: Any) -> bool:
    found = {"yes": True, "true": True, "no": False, "false": False}.get(_text(value).lower())
    if found is None:
        raise ValueError(f"{value!r} is neither yes nor no")
    return found


def _whole(value: Any) -> int:
    if not re.fullmatch(r"-?\d{1,18}", _text(value), re.ASCII):
        raise ValueError(f"{value!r} is not a whole number")
    found: int = _at_least_0(int(value))
    return found


def _number(value: Any) -> float:
    try:
        found = float(_text(value))
    except ValueError:
        raise ValueError(f"{value!r} is not a number") from None
    if not math.isfinite(found):
        raise ValueError(f"{value!r} is not a number")
    return found


def _at_least_0(value: Any) -> Any:
    if value < 0:
        raise ValueError("must be >= 0")
    return value


def _money(value: Any) -> int:
    found: int = _at_least_0(to_nanos(_text(value)))
    return found


def _span(value: Any, unit_ms: int, whole: bool) -> Any:
    exact = durations.to_ms(_text(value)) / unit_ms
    if exact <= 0:
        raise ValueError("must be > 0")
    if not whole:
        return float(exact)
    if exact != int(exact):
        raise ValueError(f"{value!r} is finer than {'a millisecond' if unit_ms == 1 else 'a second'}")
    return int(exact)


def _when(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(_text(value))
    except ValueError:
        raise ValueError(f"{value!r} is not a date such as 2026-01-31 or 2026-01-31T18:00") from None


def _window(value: Any) -> str:
    window.parse(_nonempty(value))
    return str(value)


def _decimals(value: Any) -> int:
    if not 0 <= (decimals := _whole(value)) <= 9:
        raise ValueError(f"must be 0 to 9 decimals, and is {value!r}")
    return decimals


def _choice(value: Any, among: tuple[Any, ...]) -> Any:
    if _text(value) not in among:
        raise ValueError(f"{value!r} is none of {', '.join(map(str, among))}")
    return value


def _of_plan(value: Any, field: str, what: str, many: bool) -> str:
    """A value of a dial plan, checked by the rules of the switches' tables."""
    text = _nonempty(value) if many else _text(value)
    try:
        dial_plan_row(msgspec.structs.replace(DialPlan(), **{field: (text,) if many else text}))
    except ValueError:
        raise ValueError(f"{what} {text!r} has a character that the switches' tables do not take") from None
    return text


def _type(read: Callable[[Any], Any], write: Callable[[Any], Any] | None = None) -> Any:
    """A type of the model. None passes: it stands for a value that could not be read and was reported."""
    validator = PlainValidator(lambda value: None if value is None else read(value))
    return Annotated[Any, validator, PlainSerializer(write)] if write else Annotated[Any, validator]


NAME, DIGITS, TEXT = _type(_name), _type(_digits), _type(_text)
FIELDS: dict[str, Any] = {
    "name": NAME,
    "b_range": DIGITS,
    "caller_ranges": tuple[DIGITS, ...],  # type: ignore[valid-type]
    "sources": tuple[_type(_network), ...],  # type: ignore[misc]
    "time_zone": _type(_zone),
    "currency": _type(_currency),
    "decimals": _type(_decimals),
    "country_code": _type(partial(_of_plan, field="country_code", what="country code", many=False)),
    "international_prefix": _type(partial(_of_plan, field="international_prefix", what="international prefix", many=False)),
    "trunk_prefix": _type(partial(_of_plan, field="trunk_prefix", what="trunk prefix", many=False)),
    "tech_prefixes": tuple[_type(partial(_of_plan, field="tech_prefixes", what="tech prefix", many=True)), ...],  # type: ignore[misc]
    "emergency": tuple[_type(partial(_of_plan, field="emergency", what="emergency number", many=True)), ...],  # type: ignore[misc]
    "service": tuple[_type(partial(_of_plan, field="service", what="service number", many=True)), ...],  # type: ignore[misc]
    "window": _type(_window),
}
"""Fields whose type follows from their name."""


def _field_type(name: str, kind: Any) -> Any:
    """The model's type of a struct's field."""
    if get_origin(kind) in (types.UnionType, Union):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if name in FIELDS:
        return FIELDS[name]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return model_of(kind)
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        return tuple[_type(_nonempty) if inner is str else _field_type("", inner), ...]  # type: ignore[misc]
    if get_origin(kind) is dict:
        return dict[str, _field_type("", get_args(kind)[1])]  # type: ignore[misc]
    if get_origin(kind) is Literal:
        return _type(partial(_choice, among=get_args(kind)))
    if name.endswith("_nanos"):
        return _type(_money, to_text)
    if name.endswith("_at_ms"):
        return _type(_when, datetime.isoformat)
    if name.endswith(("_ms", "_s")):
        unit_ms = 1 if name.endswith("_ms") else 1000
        return _type(partial(_span, unit_ms=unit_ms, whole=kind is int), lambda value: durations.text(Decimal(repr(value)) * unit_ms))
    return {bool: _type(_yes), int: _type(_whole), float: _type(_number), str: TEXT}[kind]


# --- the model ---


class Row(BaseModel):
    """A mapping of the file; an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid")


@cache
def model_of(struct: type[msgspec.Struct]) -> type[Row]:
    """The model of a struct: its fields except `tenant`, under their names in the file."""
    hints = get_type_hints(struct)
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        if field.name != "tenant":
            default = ... if field.required else None
            kind = _parameters() if struct is Policy and field.name == "detectors" else _field_type(field.name, hints[field.name])
            fields[field.name] = (kind, Field(default, alias=shown(field.name)))
    return pydantic.create_model(struct.__name__, __base__=Row, **fields)


def _parameters() -> type[Row]:
    """The model of a policy's parameters: one field per detector that has any."""
    fields: dict[str, Any] = {one.name: (model_of(one.parameters), Field(None)) for one in detectors() if one.parameters.__struct_fields__}
    return pydantic.create_model("Detectors", __base__=Row, **fields)


def _row_type(struct: type[msgspec.Struct]) -> Any:
    """A row in a list; None stands for one that could not be read and was reported."""
    return Annotated[model_of(struct), WrapValidator(lambda value, check: None if value is None else check(value))]


_PARTS: dict[str, Any] = {
    "decks": (dict[str, model_of(DeckEntry)], Field({})),  # type: ignore[misc]
    **{kind: (list[_row_type(struct)], Field([])) for kind, struct in ROWS.items() if kind not in KEPT},  # type: ignore[misc]
    "policy": (model_of(Policy), Field(None)),
}
_TENANT = _type(_tenant)
OwnPart: type[Row] = pydantic.create_model("OwnPart", __base__=Row, **_PARTS)
"""The part of a file for one tenant."""
OneTenant: type[Row] = pydantic.create_model("OneTenant", __base__=Row, tenant=(_TENANT, ...), **_PARTS)
ManyTenants: type[Row] = pydantic.create_model("ManyTenants", __base__=Row, tenants=(dict[_TENANT, OwnPart], ...))  # type: ignore[valid-type]


def read(text: str, tenant: str = "", gateways: Iterable[Trunk] = ()) -> tuple[Contents, list[str]]:
    """The content of a file, and every fault that can be found in it alone. A value that cannot be read is at its default, or empty.
    `tenant`: of a file that names none; `gateways`: those that exist besides the file's.

    >>> contents, faults = read("tenant: t1\\naccounts:\\n- {name: acme, caps: {money_hour: lots, money_day: 9}, sel_deck: x}")
    >>> for fault in faults: print(fault)
    accounts[0].caps.money_hour: 'lots' is not a decimal amount
    accounts[0].sel_deck: there is no such key; sell_deck?
    >>> contents.config.accounts[0].caps.money_day_nanos
    9000000000
    """
    loose = _loose(text)
    model = ManyTenants if "tenants" in loose else OneTenant
    if tenant and model is OneTenant:
        loose.setdefault("tenant", tenant)
    faults: list[str] = []
    unread: set[str] = set()
    while True:
        try:
            made = model.model_validate(loose)
            break
        except ValidationError as error:
            fresh = [one for one in error.errors() if _place(one["loc"]) not in unread]
            if not fresh:  # nothing more can be read
                raise Wrong(faults) from None
            for one in fresh:
                place = _place(one["loc"])
                faults.append(f"{place}: {_text_of(one, model)}" if place else _text_of(one, model))
            unread |= {_place(one["loc"]) for one in fresh}
            # Remove what was reported, so that the rest can be read and checked as well.
            for one in reversed(error.errors()):
                _prune(loose, one)
    found: Any = made
    parts = found.tenants if model is ManyTenants else {found.tenant or "": found}
    if not parts:
        faults.append("tenants: name at least one")
    contents = _contents(parts, {name: f"tenants.{name}." if model is ManyTenants else "" for name in parts}, unread)
    return contents, faults + _more_faults(contents, gateways)


def _contents(parts: Mapping[str, Any], tenants: dict[str, str], unread: set[str]) -> Contents:
    rows: dict[str, Any] = {kind: [] for kind in ROWS}
    places: dict[tuple[str, int], str] = {}
    decks: dict[tuple[str, str], DeckEntry] = {}
    policies: dict[str, Policy] = {}
    for tenant, part in parts.items():
        for kind, struct in ROWS.items():
            for at, row in enumerate(getattr(part, kind, ())):
                if row is not None:
                    places[kind, len(rows[kind])] = f"{tenants[tenant]}{kind}[{at}]"
                    rows[kind].append(_struct(struct, row, tenant))
        decks |= {(tenant, name): _struct(DeckEntry, entry) for name, entry in part.decks.items()}
        policies[tenant] = _struct(Policy, part.policy) if part.policy is not None else Policy()
    rows = {kind: tuple(found) for kind, found in rows.items()}
    config = Config(policies=policies, **rows)
    return Contents(config, decks, tenants, places, unread)


def _struct(struct: type[msgspec.Struct], model: Row, tenant: str = "") -> Any:
    """The struct of a model that was read. A required field that could not be read is ""."""
    values: dict[str, Any] = {"tenant": tenant} if "tenant" in struct.__struct_fields__ else {}
    zone = ZoneInfo(getattr(model, "time_zone", None) or "UTC")
    types_of = get_type_hints(struct)
    for field in msgspec.structs.fields(struct):
        if field.name == "tenant":
            continue
        value = getattr(model, field.name)
        if struct is Policy and field.name == "detectors":
            value = _parameters_of(value) if value is not None else None
        elif field.name == "plan" and struct is Agreement:
            value = value and tuple(_span_of(span, zone) for span in value if span is not None)
        elif isinstance(value, Row):
            of = types_of[field.name]
            of = next(one for one in (of, *get_args(of)) if isinstance(one, type) and issubclass(one, msgspec.Struct))
            value = _struct(of, value)
        elif isinstance(value, (tuple, list)):
            of = next(iter(get_args(types_of[field.name])), msgspec.Struct)
            value = tuple(_struct(of, one) if isinstance(one, Row) else one for one in value if one is not None)
        elif isinstance(value, dict):
            value = {key: one for key, one in value.items() if one is not None}
        if value is not None:
            values[field.name] = value
        elif field.required:
            values[field.name] = ""  # every required field is a text
    return struct(**values)


def _parameters_of(model: Row) -> dict[str, dict[str, Any]]:
    """Detector -> parameter -> value, of the parameters that are not at their defaults."""
    found = {}
    for one in detectors():
        if (own := getattr(model, one.name, None)) is not None:
            values, defaults = msgspec.structs.asdict(_struct(one.parameters, own)), msgspec.structs.asdict(one.parameters())
            found[one.name] = {name: value for name, value in values.items() if value != defaults[name]}
    return {name: values for name, values in found.items() if values}


def _span_of(span: Any, zone: ZoneInfo) -> Any:
    def at_ms(when: datetime | None) -> int | None:
        return None if when is None else round((when if when.tzinfo else when.replace(tzinfo=zone)).timestamp() * 1000)

    return DeckSpan(deck=span.deck or "", from_at_ms=at_ms(span.from_at_ms), until_at_ms=at_ms(span.until_at_ms))


def policy_with(policy: Policy, changes: Mapping[str, Any]) -> Policy:
    """A policy with some of its keys changed, as they are written in the file: what `changes` leaves out stays. `Wrong` has every fault, with
    its path.

    >>> changed = policy_with(Policy(block_loss=2.0), {"detectors": {"burst": {"half_life": "20m"}}, "off": ["fas"]})
    >>> changed.detectors, changed.off, changed.block_loss
    ({'burst': {'half_life_s': 1200.0}}, ('fas',), 2.0)
    >>> policy_with(Policy(), {"detectors": {"burst": {"account_floor": "lots"}, "bursts": {}}})
    Traceback (most recent call last):
    ...
    services.config_file.Wrong: policy.detectors.burst.account_floor: 'lots' is not a number
    policy.detectors.bursts: there is no such key; burst?
    """
    loose = _merged(_as_texts(_dumped(policy)), _as_texts(changes))
    contents, faults = read(yaml.dump({"tenant": "t", "policy": loose}, default_flow_style=False))
    if faults:
        raise Wrong(faults)
    return contents.config.policies["t"]


def shown_policy(policy: Policy) -> dict[str, Any]:
    """A whole policy as it is written in the file.

    >>> shown_policy(Policy(block_loss=2.0))["block_loss"], shown_policy(Policy())["detectors"]["burst"]["half_life"]
    ('2.0', '15m')
    """
    found: dict[str, Any] = _as_texts(_dumped(policy, whole=True))
    return found


def read_changes(text: str) -> dict[str, Any]:
    """The keys of a policy in a file that has them under `policy`, or has nothing else. Raises `Wrong`.

    >>> read_changes("policy: {block_loss: 3}"), read_changes("block_loss: 3")
    ({'block_loss': '3'}, {'block_loss': '3'})
    """
    loose = _loose(text)
    found = loose.get("policy", loose)
    if not isinstance(found, dict):
        raise Wrong(["policy: must be a mapping of keys to values"])
    return found


def _merged(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {key: _merged(old.get(key), value) for key, value in new.items()}


def _more_faults(contents: Contents, gateways: Iterable[Trunk]) -> list[str]:
    """Duplicate names, a policy that would stop the detectors, and an address of two trunks."""
    faults = []
    met: set[tuple[str, str, str]] = set()
    positions = dict.fromkeys(ROWS, -1)
    taken: dict[Any, str] = {}
    for kind, row in rows_of(contents.config):
        positions[kind] += 1
        place = contents.places[kind, positions[kind]]
        if row.name and (kind, row.tenant, row.name) in met:
            faults.append(f"{place}.{'b_range' if kind == 'ranges' else 'name'}: {row.name!r} is in the list already")
        met.add((kind, row.tenant, row.name))
        if kind == "dial_plans" and len(plan_name(row.tenant, row.name)) > 64:
            faults.append(f"{place}.name: with the tenant's name it is longer than the 64 characters that a switch takes")
        if kind == "trunks":
            faults += [f"{place}.sources: {fault}" for fault in shared_sources(row, taken)]
    plans = {(plan.tenant, plan.name): contents.places["route_plans", at] for at, plan in enumerate(contents.config.route_plans)}
    for plan, field, reason in faults_of_routes(contents.config.route_plans, (*contents.config.trunks, *gateways)):
        faults.append(f"{plans[plan.tenant, plan.name]}.{field}: {reason}")
    for tenant, policy in contents.config.policies.items():
        for fault in (*policy_faults(policy), *parameter_faults(policy)):
            field, _, reason = fault.partition(": ")
            faults.append(f"{contents.tenants[tenant]}{'.'.join(map(shown, field.split('.')))}: {reason}")
    for (tenant, name), deck in contents.decks.items():
        place = f"{contents.tenants[tenant]}decks.{name}"
        if not is_table_name(name):
            faults.append(f"{place}: {name!r} is not a name (letters, digits, . _ - @ +, at most 64)")
        if bool(deck.file) == bool(deck.version) and not any(one.startswith(place) for one in contents.unread):
            faults.append(f"{place}: name a file (its CSV, relative to this file) or a version (of the books), one of the two")
        if deck.version and deck.written:
            faults.append(f"{place}.written: is for a file: decks in the books are in our own format")
    return faults


def shared_sources(trunk: Any, taken: dict[Any, str]) -> Iterator[str]:
    """Faults for networks of a trunk that belong to another already; adds its own to `taken` (network -> trunk)."""
    for source in trunk.sources:
        network = ipaddress.ip_network(source)
        if network in taken:
            yield f"{source} is trunk {taken[network]}'s already: a call from there is one or the other"
        taken.setdefault(network, trunk.name)


def row_faults(row: msgspec.Struct) -> list[str]:
    """The faults of a single row that is not from a file, by the same model.

    >>> from core.config import Trunk
    >>> row_faults(Trunk(tenant="t1", name="in", max_call_s=0, caller_ranges=("+43",)))
    ["caller_ranges[0]: '+43' is not 1 to 15 digits from the country code on (no +, no 0 first)", 'max_call: must be > 0']
    """
    try:
        model_of(type(row)).model_validate(_as_texts(_dumped(row)))
    except ValidationError as error:
        return [f"{_place(one['loc'])}: {_text_of(one, model_of(type(row)))}" for one in error.errors()]
    except (KeyError, ValueError) as error:
        return [str(error)]
    return []


def _as_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_texts(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_texts(one) for one in value]
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


# --- the text of faults ---


def _place(loc: tuple[int | str, ...]) -> str:
    """The place of a fault, such as `accounts[0].caps.money_hour`."""
    place = ""
    for at in loc:
        if at != "[key]":
            place += f"[{at}]" if isinstance(at, int) else f"{'.' if place else ''}{at}"
    return place


def _text_of(error: ErrorDetails, model: type[Row]) -> str:
    kind = error["type"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        known = _keys_at(model, error["loc"][:-1])
        near = difflib.get_close_matches(str(error["loc"][-1]), known, 1)
        return "there is no such key; " + (f"{near[0]}?" if near else f"there are {', '.join(known)}")
    if kind in ("dict_type", "model_type", "model_attributes_type", "mapping_type"):
        return "must be a mapping of keys to values"
    if kind in ("list_type", "tuple_type"):
        value = error["input"]
        return f"must be a list, as in [{value if isinstance(value, str) else 'a, b'}]"
    return str(error.get("ctx", {}).get("error", error["msg"]))


def _keys_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that a mapping at this place may have."""
    found: Any = model
    for at in loc:
        if isinstance(found, type) and issubclass(found, BaseModel):
            field = next(one for name, one in found.model_fields.items() if at in (name, one.alias))
            found = field.annotation
        else:  # an item of a list, or a value of a mapping
            found = get_args(found)[-1 if get_origin(found) is dict else 0]
        if get_origin(found) is Annotated:
            found = get_args(found)[0]
    fields = found.model_fields
    return [one.alias or name for name, one in fields.items()]


def _prune(loose: Any, error: ErrorDetails) -> None:
    """Removes the subject of an error: a value becomes None, which passes; a key with the wrong kind of value is removed."""
    *way, last = [at for at in error["loc"] if at != "[key]"]
    for at in way:
        loose = loose[at]
    if "[key]" not in error["loc"] and (error["type"] in ("missing", "value_error") or isinstance(last, int)):
        loose[last] = None
    else:
        loose.pop(last, None)


# --- the text ---


def _loose(text: str) -> dict[str, Any]:
    """The file as mappings, lists and texts, without empty values."""
    try:
        loose = yaml.load(text, _Plain)
    except yaml.YAMLError as error:
        raise Wrong(["not YAML: " + str(error).replace('in "<unicode string>", ', "in ")]) from None
    except (ValueError, OverflowError) as error:  # an escape of a character that does not exist
        raise Wrong([f"not YAML: {error}"]) from None
    if not isinstance(loose, dict):
        raise Wrong([f"the file must have the keys {', '.join(OneTenant.model_fields)}"])
    found: dict[str, Any] = _filled(loose)
    return found


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _filled(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return ["" if one is None else _filled(one) for one in value]
    return value


class _Plain(yaml.BaseLoader):
    """All scalars stay texts; an empty value is None; a duplicate key is a fault, and so is nesting deeper than `DEEPEST`."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self._depth >= DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, f"lists and mappings are nested more than {DEEPEST} deep", mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_scalar(self, node: yaml.ScalarNode) -> Any:
        value = super().construct_scalar(node)
        return None if node.style is None and value in ("", "~", "null") else value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a text", key.start_mark)
            if key.value in keys:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value} comes twice", key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)


# --- writing ---


def render(config: Config, decks: Mapping[tuple[str, str], DeckEntry], tenants: list[str]) -> str:
    """A config as a file; `read` returns the same config.

    >>> from core.config import Account
    >>> text = render(Config(accounts=(Account(tenant="t1", name="acme", sell_deck="basic"),)), {}, ["t1"])
    >>> read(text)[0].config.accounts[0].sell_deck
    'basic'
    """
    if len(tenants) == 1:
        return HEAD + f"\ntenant: {tenants[0]}\n\n" + _part(config, decks, tenants[0])
    parts = (f"  {tenant}:\n{indent(_part(config, decks, tenant), '    ')}" for tenant in tenants)
    return HEAD + "\ntenants:\n" + "\n".join(parts)


def _part(config: Config, decks: Mapping[tuple[str, str], DeckEntry], tenant: str) -> str:
    """The part of a file for one tenant: one line per row, and one per field of the policy."""
    part: dict[str, Any] = {"decks": {name: _dumped(deck) for (owner, name), deck in decks.items() if owner == tenant}}
    for kind in (kind for kind in ROWS if kind not in KEPT):
        part[kind] = [_dumped(row) for row in getattr(config, kind) if row.tenant == tenant]
    part["policy"] = _dumped(config.policies.get(tenant, config.policy), whole=True)
    blocks = []
    for key, value in part.items():
        if value:
            flow = False if key == "policy" else None
            blocks.append(
                yaml.dump({key: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=130, default_flow_style=flow)
            )
    return "\n".join(blocks)


class _Dumper(yaml.SafeDumper):
    """Lists are indented under their key; a tuple is a list."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


_Dumper.add_representer(tuple, yaml.SafeDumper.represent_list)


def _dumped(struct: msgspec.Struct, whole: bool = False) -> dict[str, Any]:
    """The fields that differ from their defaults (with `whole`: all), under their names in the file."""
    found: dict[str, Any] = _model(struct, whole).model_dump(by_alias=True, exclude_unset=True)
    return found


def _model(struct: msgspec.Struct, whole: bool = False) -> Row:
    values: dict[str, Any] = {}
    zone = ZoneInfo(struct.time_zone) if isinstance(struct, Agreement) else None
    for field in msgspec.structs.fields(type(struct)):
        value = getattr(struct, field.name)
        if isinstance(struct, Policy) and field.name == "detectors":
            kinds = _parameters()
            own: dict[str, Any] = {one.name: _model(parameters_of(one, struct), whole) for one in detectors() if one.name in kinds.model_fields}
            values[field.name] = kinds.model_construct(**own)
            continue
        if field.name == "tenant" or value is None or value == {}:
            continue
        if field.required or whole or value != field.default:
            values[field.name] = _model_value(value, zone)
    return model_of(type(struct)).model_construct(**values)


def _model_value(value: Any, zone: ZoneInfo | None) -> Any:
    if isinstance(value, tuple):
        return tuple(_model_value(one, zone) for one in value)
    if not isinstance(value, msgspec.Struct):
        return value
    made = _model(value)
    for field in made.model_fields_set:
        if field.endswith("_at_ms"):
            when = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=getattr(made, field))).astimezone(zone)
            setattr(made, field, when)
    return made
