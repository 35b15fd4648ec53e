"""The detectors of this folder, found by reflection: each module of it that has a `DETECTOR`."""

from __future__ import annotations

import difflib
import inspect
import math
import pkgutil
import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import msgspec
import polars as pl

import detectors as folder
from core.policy import Policy
from detectors.protocol import Detector, Feature, Limits, Spanning


@cache
def _registered() -> tuple[Detector | Spanning, ...]:
    modules = [import_module(f"{folder.__name__}.{found.name}") for found in pkgutil.iter_modules(folder.__path__)]
    found = [module.DETECTOR for module in modules if hasattr(module, "DETECTOR")]
    return tuple(sorted(found, key=lambda detector: detector.name))


@cache
def features() -> tuple[Feature, ...]:
    """What detectors share, by name: each module that has a `FEATURE`."""
    modules = [import_module(f"{folder.__name__}.{found.name}") for found in pkgutil.iter_modules(folder.__path__)]
    return tuple(sorted((module.FEATURE for module in modules if hasattr(module, "FEATURE")), key=lambda feature: feature.name))


@cache
def detectors() -> tuple[Detector, ...]:
    """The detectors that judge runs over each account's calls, by name."""
    return tuple(one for one in _registered() if isinstance(one, Detector))


@cache
def spanning() -> tuple[Spanning, ...]:
    """The detectors that watch runs over subjects that span partitions, by name."""
    return tuple(one for one in _registered() if isinstance(one, Spanning))


@cache
def summed() -> Mapping[str, Callable[[pl.DataFrame, Limits], pl.Series | None]]:
    """The kinds of sums that judge gathers: all that a detector declares."""
    return {kind: names for detector in spanning() for kind, names in detector.sums.items()}


def meanings(detector: Detector) -> dict[str, str]:
    """What each parameter is, as its comment says.

    >>> found = {one.name: one for one in detectors()}
    >>> meanings(found["burst"])["a_number_floor"]
    'the same for one caller'
    """
    return dict(re.findall(r"^    (\w+): .*?  # (.+)$", inspect.getsource(detector.parameters), re.MULTILINE))


def parameters_of(detector: Detector, policy: Policy) -> Any:
    """A detector's parameters under a policy. Raises `ValueError` with the path of a parameter that is out of its range.

    >>> parameters_of(detectors()[0], Policy()) == detectors()[0].parameters()
    True
    """
    try:
        return msgspec.convert(policy.detectors.get(detector.name, {}), detector.parameters)
    except msgspec.ValidationError as error:
        raise ValueError("; ".join(faults(policy)) or f"policy.detectors.{detector.name}: {error}") from None


def faults(policy: Policy) -> list[str]:
    """The detectors and parameters in a policy that do not exist or are out of range, each with its path; [] = none.

    >>> for fault in faults(Policy(detectors={"burst": {"half_life_s": 0, "account_flor": 1}, "bursts": {}})): print(fault)
    policy.detectors.burst.half_life_s: must be a number > 0, is 0
    policy.detectors.burst.account_flor: there is no such parameter; account_floor?
    policy.detectors.bursts: there is no such detector; burst?
    >>> faults(Policy(off=("burts", "fas")))
    ["policy.off[0]: there is no detector 'burts'; burst?"]
    """
    known, found = {detector.name: detector for detector in detectors()}, []
    names = [detector.name for detector in _registered()]
    for at, name in enumerate(policy.off):
        if name not in names:
            found.append(f"policy.off[{at}]: there is no detector {name!r}; {_suggestion(name, names)}")
    for name, values in policy.detectors.items():
        path = f"policy.detectors.{name}"
        if name not in known:
            found.append(f"{path}: there is no such detector; {_suggestion(name, list(known))}")
            continue
        types = {one.name: one.type for one in msgspec.structs.fields(known[name].parameters)}
        for parameter, value in values.items():
            if parameter not in types:
                found.append(f"{path}.{parameter}: there is no such parameter; {_suggestion(parameter, list(types))}")
            elif fault := _fault(types[parameter], value):
                found.append(f"{path}.{parameter}: {fault}")
    return found


def not_observable(fields: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The detectors that cannot see their fraud in records with these fields, each with the fields that are missing. Their silence says
    nothing: it is never "clean".

    >>> not_observable(["a_raw", "setup_ms", "answer_ms", "end_ms", "carrier"])
    {'sim_box': ('imei', 'imsi', 'cell')}
    """
    everyone: list[Detector | Spanning] = [*detectors(), *spanning()]
    missing = {one.name: tuple(field for field in one.fields if field not in fields) for one in everyone}
    return {name: absent for name, absent in sorted(missing.items()) if absent}


def _suggestion(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"{close[0]}?" if close else f"there are {', '.join(known) or 'none'}"


def _fault(wanted: Any, value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be a finite number, is {value}"
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        rule = str(error).removeprefix("Expected ").replace("`float`", "a number").replace("`int`", "a whole number").replace(".0", "")
        return f"must be {rule}, is {value!r}"
    return ""
