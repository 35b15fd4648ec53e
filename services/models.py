"""Trained scorers: trained on simulated traffic, stored in the books by their hash, put in force and taken back by a config version.

The detector `learned` uses the model that the policy names (`detectors.learned.model`). So every record is judged under a config version that says by
which file, and going back is publishing the hash that was there before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from books import Connection, configs, models
from books.models import Stored
from core.parts import Slot
from core.policy import Policy
from core.record import journal_key
from detectors import model as scorer
from detectors.model import Model, WrongModel
from detectors.training import train as fit
from flows import learning
from flows.backtest import Line
from rating.contracts import compile_contracts
from services import files
from services.backtest import policy_in_force
from services.errors import BadArgument, ServiceError, UnknownName
from services.installation import tenant_of
from services.publishing import publish_policy
from services.shipped_models import shipped
from simulator.decks import OFFERS, deck
from simulator.episodes import Traffic, traffic
from simulator.record_lines import ANSWER, STOP, SWITCH, events, lines

Progress = Callable[[str], None]


class Listed(NamedTuple):
    """A model. `fault`: why it cannot be used, "" = it can. `used_by`: tenants whose policy in force names it."""

    sha256: str
    name: str
    trained_on: str
    at_ms: int
    metrics: dict[str, float]
    stored: bool  # in the books; else it came with the release
    used_by: list[str]
    fault: str


def train(seeds: Sequence[int], calls: int, days: float, name: str, now_ms: int, progress: Progress = lambda text: None) -> bytes:
    """The file of a new model: it learns from all seeds but the last, which calibrates and measures it. Raises `BadArgument`."""
    if len(set(seeds)) < 2:
        raise BadArgument("--seeds: at least two, because the last one measures what the others have taught")
    rows = []
    for at, seed in enumerate(seeds):
        progress(f"seed {seed} ({at + 1} of {len(seeds)}): {calls:,} honest calls in {days:g} days")
        rows.append(rows_of(traffic(seed, calls, days)))
    progress("training")
    learned = [np.concatenate([part[at] for part in rows[:-1]]) for at in (0, 1)]
    taught = f"seeds {', '.join(map(str, seeds[:-1]))}, {calls:,} honest calls in {days:g} days each"
    words = f"simulated traffic alone: {taught}; measured on seed {seeds[-1]}"
    try:
        made = fit(learned[0], learned[1].astype(np.bool_), *rows[-1], name, words, now_ms)
    except ValueError as wrong:
        raise BadArgument(f"--calls {calls}: {wrong}") from None
    return scorer.encode(made)


def rows_of(one: Traffic) -> tuple[Any, Any]:
    """What a scorer learns from simulated traffic: rows of features, and whether each is of an attack."""
    terms = compile_contracts(one.config, {offer: deck(offer) for offer in OFFERS})
    fraud = set(one.frame.filter(pl.col("episode") != "")["call_id"].to_list())
    return learning.rows(_lines(one), terms, fraud)


def _lines(one: Traffic) -> Iterator[Line]:
    found = events(one.frame, (ANSWER, STOP))
    made = lines(one.frame, found, f"{one.start_ms // 1000}.000000", 1)
    for at_ms, (tenant, account, line) in zip(found.at_ms.tolist(), made, strict=True):
        yield Line(at_ms, journal_key(tenant, account, ""), line, SWITCH, at_ms)


# --- files ---


def add(conn: Connection, data: bytes, who: str, why: str, now_ms: int, sha256: str = "") -> Model:
    """Stores the file of a model. `sha256`: what its hash must be. Raises `BadArgument`: a file that is not what it says is not stored."""
    try:
        found = scorer.load(data, sha256)
    except WrongModel as wrong:
        raise BadArgument(f"This model is refused: {wrong}.") from None
    models.add(conn, scorer.sha256_of(data), found.name, data, who, why, now_ms)
    return found


def add_file(conn: Connection, file: Path, who: str, why: str, now_ms: int, sha256: str = "") -> Model:
    """The same of a file on disk."""
    return add(conn, files.read(files.checked(file), scorer.MOST_BYTES), who, why, now_ms, sha256)


def every(conn: Connection) -> list[Listed]:
    """All models, those in the books first; a damaged one says so."""
    policies = {slot: name for slot, name in configs.parts(conn, configs.latest(conn)).items() if slot.kind == "policy" and slot.tenant}
    used: dict[str, list[str]] = {}
    for slot, policy in sorted(configs.decoded(conn, policies).items()):
        used.setdefault(_model_of(policy), []).append(slot.tenant)
    known = {one.sha256: one for one in models.every(conn)}
    rows = [(sha256, one.content, True) for sha256, one in known.items()]
    rows += [(sha256, data, False) for sha256, data in shipped().items() if sha256 not in known]
    return [_listed(sha256, data, stored, used.get(sha256, []), known.get(sha256)) for sha256, data, stored in rows]


def _listed(sha256: str, data: bytes, stored: bool, used_by: list[str], row: Stored | None) -> Listed:
    try:
        found = scorer.load(data, sha256)
    except WrongModel as wrong:
        return Listed(sha256, row.name if row else "", "", row.at_ms if row else 0, {}, stored, used_by, str(wrong))
    return Listed(sha256, found.name, found.trained_on, found.at_ms, found.metrics, stored, used_by, "")


# --- in force ---


def use(conn: Connection, tenant: str, which: str, who: str, why: str, now_ms: int) -> str:
    """Puts a model in force for a tenant; `which`: its name, or the beginning of its hash; "none" turns it off. Returns its hash. Raises
    `ServiceError`."""
    tenant = tenant_of(conn, tenant)
    sha256 = ""
    if which != "none":
        one = _find(conn, which)
        if one.fault:
            raise ServiceError(f"Model {one.sha256[:12]} is refused: {one.fault}.")
        if not one.stored:
            add(conn, shipped()[one.sha256], who, why, now_ms, one.sha256)
        sha256 = one.sha256
    _publish(conn, tenant, sha256, who, why, now_ms)
    return sha256


def rollback(conn: Connection, tenant: str, who: str, why: str, now_ms: int) -> str:
    """Puts in force the model that was in force before the present one ("" = none was). Returns its hash. Raises `ServiceError`."""
    tenant = tenant_of(conn, tenant)
    present = _model_of(policy_in_force(conn, tenant))
    for version in range(configs.latest(conn) - 1, 0, -1):
        parts = configs.parts(conn, version)
        slot = next((slot for slot in (Slot(tenant, "policy"), Slot("", "policy")) if slot in parts), None)
        before = _model_of(configs.decoded(conn, {slot: parts[slot]})[slot]) if slot else ""
        if before != present:
            if before and (one := _find(conn, before)).fault:
                raise ServiceError(f"Model {one.sha256[:12]} is refused: {one.fault}.")
            _publish(conn, tenant, before, who, why, now_ms)
            return before
    raise ServiceError(f"No other model was in force for {tenant} before this one.")


def _find(conn: Connection, which: str) -> Listed:
    found = [one for one in every(conn) if one.name == which or (len(which) >= 6 and one.sha256.startswith(which))]
    if len(found) != 1:
        known = ", ".join(f"{one.name} ({one.sha256[:12]})" for one in (found or every(conn))) or "none"
        raise UnknownName(f"{'More than one' if found else 'No'} model is called {which!r}; there are: {known}.")
    return found[0]


def _model_of(policy: Policy) -> str:
    return str(policy.detectors.get("learned", {}).get("model", ""))


def _publish(conn: Connection, tenant: str, sha256: str, who: str, why: str, now_ms: int) -> None:
    policy = policy_in_force(conn, tenant)
    own = {name: value for name, value in policy.detectors.get("learned", {}).items() if name != "model"} | ({"model": sha256} if sha256 else {})
    detectors = {name: values for name, values in policy.detectors.items() if name != "learned"} | ({"learned": own} if own else {})
    publish_policy(conn, tenant, msgspec.structs.replace(policy, detectors=detectors), who, why, now_ms)
