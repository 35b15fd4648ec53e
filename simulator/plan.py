"""What a family of fraud or a look-alike is: who is concerned, for how long, with how much money, and a function that makes its calls."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from simulator import families, look_alikes
from simulator.town import Town

LOUD, CAREFUL, STEALTHY = range(3)
"""Stealth levels: takes what it can; knows of simple limits; imitates the subject that it hides behind."""


@dataclass(frozen=True)
class Plan:
    """One episode of a family, or one look-alike (`stealth` and `budget_eur` mean nothing there)."""

    name: str
    account: int  # place in the town
    start_ms: int
    end_ms: int
    stealth: int = LOUD
    budget_eur: float = float("inf")

    @property
    def hours(self) -> float:
        """How long it lasts at most."""
        return (self.end_ms - self.start_ms) / 3_600_000


Make = Callable[[np.random.Generator, Town, Plan], pl.DataFrame]
"""(generator, town, plan) -> frame of `simulator.columns.CALL`. Who made the calls, and why, is added by the caller."""


@dataclass(frozen=True)
class Family:
    """A family of fraud. Triples are by stealth level."""

    name: str
    habits: tuple[int, ...]  # whose account is used; simulator.town
    hours: tuple[float, float, float]
    budget_eur: tuple[float, float, float]
    make: Make
    slow: bool = False  # its money goes over days, not in one burst
    night: bool = False  # begins between 20:00 and 03:00
    fresh: bool = False  # by an account that has never called before
    by_carrier: bool = False  # the subject is a carrier and destination, not an account


@dataclass(frozen=True)
class LookAlike:
    """An honest subject that resembles an attack."""

    name: str
    habits: tuple[int, ...]
    hours: float
    make: Make
    resembles: str  # which family
    at_hour: float = 9.0  # local time at which it begins
    fresh: bool = False


@lru_cache(maxsize=1)
def all_families() -> tuple[Family, ...]:
    """Every family, by name.

    >>> [one.name for one in all_families()][:3]
    ['call_looping', 'cli_spoofing', 'credit_burst']
    """
    found = []
    for module in pkgutil.iter_modules(families.__path__, "simulator.families."):
        content = importlib.import_module(module.name)
        found += [*getattr(content, "FAMILIES", ())] or [getattr(content, "FAMILY", None)]
    return tuple(sorted((one for one in found if one), key=lambda one: one.name))


@lru_cache(maxsize=1)
def all_look_alikes() -> tuple[LookAlike, ...]:
    """Every look-alike, by name."""
    names = [module.name for module in pkgutil.iter_modules(look_alikes.__path__, "simulator.look_alikes.")]
    return tuple(sorted((importlib.import_module(name).LOOK_ALIKE for name in names), key=lambda one: one.name))
