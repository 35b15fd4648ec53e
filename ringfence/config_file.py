"""The file in which an operator says who calls, who carries, what it costs and when it is suspicious.

Names and units are those of `core.config`, written for people: money is decimal text, lengths of time have units. Which field is
which follows from its name there: `money_hour_nanos` is `money_hour: "500"` in the file, `max_call_s` is `max_call: 4h`.
YAML's own guesses are not used: `00` stays `00` and `no` stays `no`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec.structs import asdict

from core.config import Account, Carrier, Config, Range, Trunk, TrunkGroup
from core.money import to_nanos, to_text
from core.numbers import DialPlan
from core.policy import Policy
from detectors.registry import detectors, parameters_of
from rating.decks import DeckFormat

HEAD = """\
# Ringfence: who calls, who carries, what it costs, and when it is suspicious. `ringfence config publish FILE --why TEXT` puts it in force.
# Money is decimal, in the currency of the account's sell deck; lengths of time are 30s, 15m, 4h, 7d. What is not said is at its default.
"""
PARTS: dict[str, type[msgspec.Struct]] = {
    "accounts": Account,
    "carriers": Carrier,
    "trunks": Trunk,
    "trunk_groups": TrunkGroup,
    "ranges": Range,
    "dial_plans": DialPlan,
}
KEYS = ("tenants", "decks", *PARTS, "policy", "self_register", "default_sell_deck", "default_buy_deck")
"""Of the file, in the order in which they are written."""

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Named(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A deck in the file: a CSV beside it, or a version that the books have. `written`: how the CSV is, where it is not plain."""

    currency: str
    file: str = ""
    version: str = ""
    written: DeckFormat | None = None


class Wrong(Exception):
    """What is wrong with a file: a line each, with its place."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says. `config.decks` is empty: which version a deck is, the books know."""

    config: Config
    tenants: tuple[str, ...]
    decks: dict[str, Named]


# --- reading ---


def parse(text: str) -> Said:
    """The file's words as a config. Every fault that can be seen in them alone is told at once.

    >>> said = parse("tenants: [t1]\\naccounts:\\n- {name: acme, caps: {money_hour: 500}}\\ntrunks:\\n- {name: in, account: acme, max_call: 90m}")
    >>> said.config.accounts[0].caps.money_hour_nanos, said.config.trunks[0].max_call_s
    (500000000000, 5400)
    >>> parse("tenants: [t1]\\naccounts:\\n- {name: acme, caps: {money_hour: lots}, sel_deck: x}")
    Traceback (most recent call last):
    ...
    ringfence.config_file.Wrong: accounts[0].caps.money_hour: 'lots' is not a decimal amount
    accounts[0].sel_deck: there is no such key; sell_deck?
    """
    said, faults = look(text)
    if faults:
        raise Wrong(faults)
    return said


def look(text: str) -> tuple[Said, list[str]]:
    """What can be read of a file, and every fault of its form. What cannot be read is at its default, or empty; every row keeps its place.

    >>> said, faults = look("tenants: [t1]\\naccounts:\\n- {name: [], caps: {money_hour: lots, money_day: -1}}")
    >>> faults
    ['accounts[0].name: must be one value, not a list or a mapping', "accounts[0].caps.money_hour: 'lots' is not a decimal amount"]
    >>> said.config.accounts[0].name, said.config.accounts[0].caps.money_day_nanos
    ('', -1000000000)
    """
    try:
        loose = yaml.load(text, _Plain)
    except yaml.YAMLError as error:
        raise Wrong(["not YAML: " + str(error).replace('in "<unicode string>", ', "in ")]) from None
    except (ValueError, OverflowError) as error:  # an escape of a character that does not exist
        raise Wrong([f"not YAML: {error}"]) from None
    if not isinstance(loose, dict):
        raise Wrong([f"the file must have the keys {', '.join(KEYS)}"])
    faults: list[str] = []
    _unknown(loose, KEYS, "", faults)
    listed = list(_texts(loose.get("tenants"), "tenants", faults))
    faults += [f"tenants[{at}]: {one!r} is in the list already" for at, one in enumerate(listed) if one and one in listed[:at]]
    tenants = tuple(dict.fromkeys(filter(None, listed)))
    if not tenants:
        faults.append("tenants: name at least one, as in `tenants: [t1]`")
    fields: dict[str, Any] = {}
    for part, kind in PARTS.items():
        rows = _rows(loose.get(part), part, faults)
        if "tenant" in kind.__struct_fields__ and len(tenants) == 1:
            rows = [(place, {"tenant": tenants[0], **row}) for place, row in rows]
        fields[part] = tuple(_struct(kind, row, place, faults) for place, row in rows)
    fields["policy"] = _policy(_mapping(loose.get("policy"), "policy", faults), faults)
    fields["self_register"] = bool(_value(msgspec.inspect.BoolType(), "", loose.get("self_register") or "no", "self_register", faults))
    for name in ("default_sell_deck", "default_buy_deck"):
        fields[name] = _value(msgspec.inspect.StrType(), "", loose.get(name) or "", name, faults) or ""
    decks: dict[str, Named] = {}
    for name, row in _mapping(loose.get("decks"), "decks", faults).items():
        decks[name] = _struct(Named, _mapping(row, f"decks.{name}", faults), f"decks.{name}", faults)
    if not any(plan.name == "e164" for plan in fields["dial_plans"]):
        fields["dial_plans"] += (DialPlan(name="e164"),)
    no_mappings = {place for place, _, words in (fault.partition(": ") for fault in faults) if words.startswith("must be a mapping")}
    faults = [fault for fault in faults if not (fault.endswith(": is missing") and fault.rpartition(".")[0] in no_mappings)]
    return Said(config=Config(version=0, **fields), tenants=tenants, decks=decks), faults


DEEPEST = 32
"""Lists and mappings in each other; a right file has five."""


class _Plain(yaml.BaseLoader):
    """Texts as they stand; an empty value is None; a key that comes twice is a fault, and so is what lies deeper than `DEEPEST`."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self._depth >= DEEPEST:
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, f"lists and mappings lie more than {DEEPEST} deep in each other", mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_scalar(self, node: yaml.ScalarNode) -> Any:
        value = super().construct_scalar(node)
        return None if node.style is None and value in ("", "~", "null") else value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value} comes twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _struct(kind: type[msgspec.Struct], row: Mapping[str, Any], place: str, faults: list[str]) -> Any:
    """A struct of a mapping. What is at fault is told, and is at its default in it, or empty."""
    known = {shown(field.name): field for field in msgspec.structs.fields(kind)}
    types = {field.name: field.type for field in _fields(kind)}
    values = {}
    for key, value in row.items():
        if key in known and value is not None:
            made = _value(types[known[key].name], known[key].name, value, f"{place}.{key}", faults)
            if made is not None:
                values[known[key].name] = made
    for key, field in known.items():
        if field.required and row.get(key) is None:
            faults.append(f"{place}.{key}: is missing")
        if field.required:
            values.setdefault(field.name, "")  # every field that must be there is a text
    _unknown(row, known, place, faults)
    return kind(**values)


def _policy(row: Mapping[str, Any], faults: list[str]) -> Policy:
    """A policy whose detectors' parameters are read as fields are: lengths of time with their unit."""
    policy: Policy = _struct(Policy, {key: value for key, value in row.items() if key != "detectors"}, "policy", faults)
    known, found = {one.name: one for one in detectors()}, {}
    rows = _mapping(row.get("detectors"), "policy.detectors", faults)
    _unknown(rows, known, "policy.detectors", faults)
    for name, values in rows.items():
        if name in known:
            place = f"policy.detectors.{name}"
            made = _struct(known[name].parameters, _mapping(values, place, faults), place, faults)
            found[name] = {field: value for field, value in asdict(made).items() if value != getattr(known[name].parameters(), field)}
    return msgspec.structs.replace(policy, detectors={name: values for name, values in found.items() if values})


def _value(kind: msgspec.inspect.Type, name: str, value: Any, place: str, faults: list[str]) -> Any:
    try:
        if isinstance(kind, msgspec.inspect.UnionType):
            kind = next(one for one in kind.types if not isinstance(one, msgspec.inspect.NoneType))
        if isinstance(kind, msgspec.inspect.StructType):
            return _struct(kind.cls, _mapping(value, place, faults), place, faults)
        if isinstance(kind, msgspec.inspect.VarTupleType):
            return tuple(_texts(value, place, faults))
        if isinstance(kind, msgspec.inspect.DictType):
            rows = _mapping(value, place, faults)
            made = {key: _value(kind.value_type, "", one, f"{place}.{key}", faults) for key, one in rows.items()}
            return {key: one for key, one in made.items() if one is not None}
        if not isinstance(value, str):
            raise ValueError("must be one value, not a list or a mapping")
        if isinstance(kind, msgspec.inspect.LiteralType):
            if value not in kind.values:
                raise ValueError(f"{value!r} is none of {', '.join(map(str, kind.values))}")
            return value
        if name.endswith("_nanos"):
            return to_nanos(value)
        if name.endswith(("_ms", "_s")):
            exact = Decimal(span_ms(value)) / (1 if name.endswith("_ms") else 1000)
            if isinstance(kind, msgspec.inspect.FloatType):
                return float(exact)
            if exact != int(exact):
                raise ValueError(f"{value!r} is finer than {'a millisecond' if name.endswith('_ms') else 'a second'}")
            return int(exact)
        if isinstance(kind, msgspec.inspect.BoolType):
            return {"yes": True, "true": True, "no": False, "false": False}[value.lower()]
        python, what = _PYTHON[type(kind)]
        try:
            return msgspec.convert(value, python, strict=False)
        except msgspec.ValidationError:
            raise ValueError(f"{value!r} is not {what}") from None
    except KeyError:
        faults.append(f"{place}: {value!r} is neither yes nor no")
    except ValueError as error:
        faults.append(f"{place}: {error}")
    return None


_PYTHON: dict[type[msgspec.inspect.Type], tuple[type, str]] = {
    msgspec.inspect.StrType: (str, "a text"),
    msgspec.inspect.IntType: (int, "a whole number"),
    msgspec.inspect.FloatType: (float, "a number"),
}


def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.inspect.Field, ...]:
    found = msgspec.inspect.type_info(kind)
    assert isinstance(found, msgspec.inspect.StructType)
    return found.fields


def _unknown(row: Mapping[str, Any], known: Any, place: str, faults: list[str]) -> None:
    for key in row:
        if key not in known:
            near = difflib.get_close_matches(key, list(known), 1)
            hint = f"{near[0]}?" if near else f"there are {', '.join(known)}"
            faults.append(f"{place}{'.' if place else ''}{key}: there is no such key; {hint}")


def _rows(value: Any, place: str, faults: list[str]) -> list[tuple[str, dict[str, Any]]]:
    if value is None:
        return []
    if not isinstance(value, list):
        faults.append(f"{place}: must be a list")
        return []
    return [(f"{place}[{at}]", _mapping(row, f"{place}[{at}]", faults)) for at, row in enumerate(value)]


def _mapping(value: Any, place: str, faults: list[str]) -> dict[str, Any]:
    if value is None or isinstance(value, dict):
        return value or {}
    faults.append(f"{place}: must be a mapping of keys to values")
    return {}


def _texts(value: Any, place: str, faults: list[str]) -> Iterator[str]:
    if value is not None and not isinstance(value, list):
        faults.append(f"{place}: must be a list, as in [{value if isinstance(value, str) else 'a, b'}]")
        return
    for at, one in enumerate(value or []):
        if isinstance(one, str) and one:
            yield one
        else:
            faults.append(f"{place}[{at}]: must be a text")
            yield ""


def shown(name: str) -> str:
    """A field's name as the file has it: the unit is in the value.

    >>> shown("money_hour_nanos"), shown("max_call_s"), shown("order_ttl_ms"), shown("sell_deck")
    ('money_hour', 'max_call', 'order_ttl', 'sell_deck')
    """
    return re.sub(r"_(nanos|ms|s)$", "", name)


def span_ms(text: str) -> Decimal:
    """A length of time in milliseconds.

    >>> span_ms("1h30m"), span_ms("0.5s")
    (Decimal('5400000'), Decimal('500.0'))
    >>> span_ms("90")
    Traceback (most recent call last):
    ...
    ValueError: '90' is not a length of time: write 30s, 15m, 4h, 7d or 1h30m
    """
    parts = re.findall(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)", text)
    if not parts or "".join(n + unit for n, unit in parts) != text:
        raise ValueError(f"{text!r} is not a length of time: write 30s, 15m, 4h, 7d or 1h30m")
    return sum((Decimal(n) * UNITS_MS[unit] for n, unit in parts), Decimal(0))


# --- writing ---


def render(config: Config, tenants: tuple[str, ...], decks: Mapping[str, Named], head: str = HEAD) -> str:
    """A config as a file that `parse` reads to the same.

    >>> text = render(Config(version=1, accounts=(Account(tenant="t1", name="acme", sell_deck="basic"),)), ("t1",), {})
    >>> parse(text).config.accounts[0].sell_deck
    'basic'
    """
    one = len(tenants) == 1
    said: dict[str, Any] = {"tenants": list(tenants)}
    said["decks"] = {name: _loose(deck) for name, deck in decks.items()}
    for part in PARTS:
        rows = [_loose(row) for row in getattr(config, part)]
        said[part] = [{k: v for k, v in row.items() if not (one and k == "tenant")} for row in rows]
    said["policy"] = _loose(config.policy, whole=True)
    said["policy"]["detectors"] = {one.name: _loose(parameters_of(one, config.policy), whole=True) for one in detectors()}
    said["policy"]["detectors"] = {name: values for name, values in said["policy"]["detectors"].items() if values}
    if config.self_register:
        said["self_register"] = True
    for name in ("default_sell_deck", "default_buy_deck"):
        if value := getattr(config, name):
            said[name] = value
    blocks = []
    for key, value in said.items():
        if value:
            flow = False if key == "policy" else None  # a line a row
            blocks.append(
                yaml.dump({key: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=130, default_flow_style=flow)
            )
    return head + "\n" + "\n".join(blocks)


class _Dumper(yaml.SafeDumper):
    """Lists are set in under their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


def _loose(struct: msgspec.Struct, whole: bool = False) -> dict[str, Any]:
    """What differs from the defaults (with `whole`: everything), in the file's words."""
    found = {}
    for field in msgspec.structs.fields(type(struct)):
        value = getattr(struct, field.name)
        if field.required or whole or value != field.default:
            plain = _plain(field.name, value)
            if plain is not None and plain != {}:
                found[shown(field.name)] = plain
    return found


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _loose(value)
    if isinstance(value, tuple):
        return list(value)
    if value is None or isinstance(value, (bool, str, dict)):
        return value
    if name.endswith("_nanos"):
        return to_text(value)
    if name.endswith("_ms"):
        return span_text(Decimal(repr(value)))
    if name.endswith("_s"):
        return span_text(Decimal(repr(value)) * 1000)
    return value


def span_text(ms: Decimal) -> str:
    """A length of time as people write it, to the last digit.

    >>> [span_text(Decimal(n)) for n in (0, 900_000, 5_400_000, 604_800_000, 500, 90_061_001)]
    ['0s', '15m', '1h30m', '7d', '500ms', '1d1h1m1s1ms']
    """
    text = ""
    for unit in ("d", "h", "m", "s"):
        whole = int(ms // UNITS_MS[unit])
        if whole:
            text += f"{whole}{unit}"
            ms -= whole * UNITS_MS[unit]
    return text + (f"{ms.normalize():f}ms" if ms else "") or "0s"


def file_of(deck: Named, beside: Path) -> Path:
    """Where a deck's CSV is: relative to the file that names it."""
    return beside / deck.file
