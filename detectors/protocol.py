"""What a detector is: one module of this folder with a `DETECTOR`, found by `detectors.registry`.

A detector reads one frame: `core.schemas.USAGE` with the columns that `detectors.features` adds, one row per change of a call. It groups
the rows by its own subjects, updates its state, adds columns, and reports the rows that are over a limit. Its state is columns of numbers,
one slot per subject, so that snapshot, repartition, the check of stored names and the contract suite work for every detector.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import polars as pl

from core.config import Caps, UnpricedCaps
from core.facts import Facts
from core.orders import BlockOrder, Finding
from core.policy import Policy
from core.safety import Protected
from detectors.columns import Columns
from detectors.known import KnownOf, nobody

Owner = tuple[str, str]
"""Tenant and name."""


@dataclass(frozen=True)
class Limits:
    """The limits that an operator set for single owners."""

    caps: Mapping[str, Mapping[Owner, Caps]] = field(default_factory=dict)  # account | destination | carrier | ... -> owner -> its caps
    unpriced_caps: Mapping[Owner, UnpricedCaps] = field(default_factory=dict)
    first_seen: Collection[Owner] = frozenset()  # accounts whose first call to a country is a finding
    models: Mapping[str, bytes] = field(default_factory=dict)  # the files of trained scorers, by their SHA-256
    novelty: Callable[[str], bool] = lambda tenant: False  # whether a tenant's policy asks for `detectors.novelty`


@dataclass(frozen=True)
class Settings:
    """The part of a config version that the detectors read. `currency_of` (tenant, account): for rows without money."""

    policy_of: Callable[[str], Policy]
    protected_of: Callable[[str], Protected]
    currency_of: Callable[[str, str], str]
    limits: Limits
    known_of: KnownOf = nobody  # ranges known for fraud


class Least(NamedTuple):
    """What an alert needs: this probability, and this expected loss (of a day's money, with `over_a_day`)."""

    probability: float
    loss: float
    over_a_day: bool


class Hit(NamedTuple):
    """A row of the frame that is over a limit, for one of its subjects."""

    row: int
    detector: str  # as findings are stored: "burst", "cap_money_hour"
    subject_kind: str  # its key is in the column `k_<subject_kind>`
    score: float  # 1.0 = the limit
    no_block: str = ""  # why no block is proposed, a code of `core.alert_text.NO_BLOCK`; "" = one against the subject is
    cap: str = ""  # which cap, with its value and limit in nanos, calls or milliseconds
    value: int = 0
    limit: int = 0
    # What decides about a block (`core.policy`): of a hard limit, 1 and infinite.
    probability: float = 1.0  # of fraud
    loss: float = math.inf  # expected in the next 15 minutes, in the policy's units
    good_calls: float = 0.0  # honest calls in 15 minutes that the block would refuse if it is wrong
    least: Least | None = None  # of a probability: what it had to reach
    one_caller: bool = False  # the block may name the a_number as well: hardly anybody else calls there
    can_repeat: bool = False  # an earlier block of the account adds to the probability
    again: float = 0.0  # the log-odds that it has added
    risky: bool = True  # its destination is known for fraud, or of a kind that is: premium, satellite, unallocated; False = an ordinary one
    few: bool = False  # too few calls to count but for what was blocked, or for a country that the account called since


class Case(NamedTuple):
    """The input for the facts of a finding. `start`: what the detector recorded at the episode's beginning; it fills the empty dict at the
    first row of the episode."""

    hit: Hit
    row: dict[str, Any]
    start: dict[str, int | float]
    currency: str  # of the row, else of its account
    dialled: list[str]  # of numbers that cannot be read or priced: as they were dialled, the latest last


class NoParameters(msgspec.Struct, frozen=True):
    """For a detector whose limits are all in `Limits`."""


@dataclass(frozen=True)
class Detector:
    """One detector. `update` adds columns and must not change the others; what it adds to a row depends on that row and earlier ones only.

    >>> from detectors.registry import detectors
    >>> [detector.name for detector in detectors() if "burst" in detector.name]
    ['burst']
    """

    name: str
    about: str  # one sentence for people
    needs: tuple[str, ...]  # columns of the frame that it reads
    state: Mapping[str, Mapping[str, Any]]  # group of subjects -> column -> dtype, besides `columns.COMMON`; stored names
    update: Callable[[dict[str, Columns], pl.DataFrame, Any, Limits], pl.DataFrame]
    findings: Callable[[pl.DataFrame, Any, Limits], list[Hit]]
    facts: Callable[[Case, Any], Facts]
    parameters: type[msgspec.Struct] = NoParameters  # frozen, with defaults; ranges as `msgspec.Meta`
    fields: tuple[str, ...] = ()  # of `core.record.Record`, beside account and b_number: without them it cannot see its fraud
    repeats: Callable[[pl.DataFrame, Any, Limits], list[Hit]] | None = None
    """Rows that are hits only of an account that was blocked before (`detectors.blocked`); as `findings`, each by its own row alone."""

    def new_state(self) -> dict[str, Columns]:
        """Empty columns per group of subjects."""
        return {group: Columns(dtypes) for group, dtypes in self.state.items()}


@dataclass(frozen=True)
class Feature:
    """Columns that several detectors read, one module of this folder with a `FEATURE`. `update` obeys the rules of a detector's."""

    name: str
    about: str
    needs: tuple[str, ...]
    adds: Mapping[str, Mapping[str, str]]  # column with an array of numbers -> their names, in order, each with what it is
    state: Mapping[str, Mapping[str, Any]]
    update: Callable[[dict[str, Columns], pl.DataFrame, bytes], pl.DataFrame]  # the last: what keys the hashes of subjects

    def new_state(self) -> dict[str, Columns]:
        """Empty columns per group of subjects."""
        return {group: Columns(dtypes) for group, dtypes in self.state.items()}


@dataclass(frozen=True)
class Spanning:
    """A detector of subjects that span partitions: it reads `detectors.sums` cut by cut, in the one process that gets all partitions' sums."""

    name: str
    about: str
    sums: Mapping[str, Callable[[pl.DataFrame, Limits], pl.Series | None]]
    """The sums that judge gathers: kind of subject -> its name in each row of `core.schemas.USAGE`; "" = not watched, None = no row is."""
    state: type[Any]  # a msgspec struct; without arguments it is the empty state
    detect: Callable[[Any, pl.DataFrame, Settings], tuple[list[Finding], list[BlockOrder]]]
    forget: Callable[[Any, int], None]
    by_account: tuple[str, ...] = ()  # kinds that are summed account by account
    fields: tuple[str, ...] = ()  # as a detector's
    capped: bool = False  # only subjects for which the operator set a cap are watched
    asked: bool = False  # only tenants whose policy asks for it are watched
