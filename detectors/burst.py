"""Burst: more money in a short time than the subject ever had reason to spend, weighed by where it goes.

Three levels, the same rule: an account, an a_number under it, and that pair with a b_number range. The narrower the subject, the lower
its line, so an attack is stopped by the narrowest block that covers it, and one that spreads out is caught by a wider one.

    weight = risk of the destination * concentration
    score  = weighted money in the half-life / max(floor, baseline_factor * the subject's own long average)

Concentration is what tells revenue share fraud from a dear call home: the fraudster owns a range and fills it. It is 0 for the only call of an
account into a range, grows with the square of the others, and is 1 from `CROWD` calls in the half-life on.

The numbers of an account that cannot be read, or that no rate deck prices, are a fourth subject under the same rule. All of them crowd
together, since nobody knows where they lead; a minute counts at `unpriced_per_min`, and what cannot be read has `unpriced_risk`: a lenient
carrier may connect it anywhere. What is counted are answered calls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from core.facts import UNPRICED, Facts
from core.money import in_range
from detectors.columns import Columns, column_of
from detectors.decay import DECAYED, FADING, FLOATS, INTS, STATE, decay, fade
from detectors.destination import destination
from detectors.features import BLOCK_DIGITS, READABLE, UNREADABLE
from detectors.protocol import Case, Detector, Hit, Limits

LEVELS = ("account", "a_number", "b_range")
CROWD = 6.0
LEAST = 1e-9
"""A floor of 0 is this one: a score is always a number."""

SILENT_MS = 6 * 3_600_000
"""A subject that was silent for so long has nothing left in its short sums (2**-24); it stays for its long average alone, if that matters."""

LEAST_PAST_MS = 3_600_000
"""A subject that was watched for less time than that before an episode has no usual yet."""

More = Annotated[float, msgspec.Meta(gt=0)]
Some = Annotated[float, msgspec.Meta(ge=0)]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is risk-weighted, in the policy's units."""

    half_life_s: More = 900.0  # of the money that counts as sudden
    baseline_half_life_s: More = 7 * 86_400.0  # of the long average that it is measured against
    account_floor: Some = 120.0  # money in the half-life under which nobody is suspicious
    a_number_floor: Some = 80.0  # the same for one caller
    b_range_floor: Some = 50.0  # and for one caller into one range
    unpriced_floor: Some = 60.0  # of an account's calls to numbers that cannot be read or priced
    baseline_factor: Some = 6.0  # how many times its own long average a subject must reach
    unpriced_per_min: Some = 0.25  # what a minute counts for where no price is known
    unpriced_risk: Some = 6.0  # the risk of a number that cannot be read, as of premium rate


def floor_of(level: str, parameters: Parameters) -> float:
    """The weighted money under which nobody of a level is suspicious."""
    return max(float(getattr(parameters, f"{level}_floor")), LEAST)


# --- what each row adds ---


def update(state: dict[str, Columns], frame: pl.DataFrame, parameters: Parameters, limits: Limits) -> pl.DataFrame:
    """Add `range_calls`, the calls of the account into the range in the half-life; and for each level `<level>_score`, with what each row
    sees of its subject as `<level>_sums` (`decay.FLOATS`) and `<level>_counts` (`decay.INTS`). The columns of `unpriced` are there only
    where a row has such a number."""
    rows = np.flatnonzero(frame["odd"].to_numpy() != READABLE)
    if len(rows):
        frame = frame.hstack(_unpriced(state, frame, rows, parameters))
    calls = _crowd(state["range"], frame, "k_range", frame["calls"].to_numpy(), parameters)
    weight = frame["weight"].to_numpy() * _concentration(calls)
    added = [pl.Series("range_calls", calls)]
    for level in LEVELS:
        added += _level(state[level], frame, level, f"k_{level}", frame["calls"].to_numpy(), weight, parameters)
    return frame.hstack(added)


def _crowd(
    state: Columns, frame: pl.DataFrame, key: str, calls: npt.NDArray[np.int64], parameters: Parameters
) -> npt.NDArray[np.float64]:
    slots, crowd = state.enter(frame, key), np.zeros(frame.height)
    fade(slots, frame["t_ms"].to_numpy(), calls, parameters.half_life_s * 1000, state["t_ms"], state["calls"], crowd)
    state["until_ms"][slots] = state["t_ms"][slots] + SILENT_MS
    return crowd


def _concentration(calls: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.clip((calls - 1.0) / (CROWD - 1.0), 0.0, 1.0) ** 2)


def _level(
    state: Columns, frame: pl.DataFrame, level: str, key: str, calls: npt.NDArray[np.int64], weight: npt.NDArray[np.float64],
    parameters: Parameters,
) -> list[pl.Series]:  # fmt: skip
    n, floor = frame.height, floor_of(level, parameters)
    sums, counts = np.zeros((n, len(FLOATS))), np.zeros((n, len(INTS)), np.int64)
    half_ms, long_ms = parameters.half_life_s * 1000, parameters.baseline_half_life_s * 1000
    talk_ms = frame["talk_ms"].to_numpy()
    # Where nobody knows a price, minutes stand in at a nominal one: a feed without money is still watched.
    no_price = np.asarray([currency == "" for currency in frame["currency"].to_list()], np.bool_)
    nominal = talk_ms / 60_000 * parameters.unpriced_per_min * no_price
    slots = state.enter(frame, key)
    decay(
        slots, frame["t_ms"].to_numpy(), frame["started_ms"].to_numpy(), frame["nanos"].to_numpy(), (frame["money"].to_numpy() + nominal) * weight,
        talk_ms, calls, frame["b_code"].to_numpy(), half_ms, long_ms, *(state[name] for name in DECAYED), sums, counts,
    )  # fmt: skip
    # It may go when it has been silent for long and its long average has faded to a twentieth of what would matter.
    excess = state["usual"][slots] * (half_ms / long_ms) * parameters.baseline_factor / (0.05 * floor)
    stays_ms = np.maximum(SILENT_MS, long_ms * np.log2(np.maximum(excess, 1.0)))
    state["until_ms"][slots] = state["t_ms"][slots] + stays_ms.astype(np.int64)
    score = sums[:, 0] / np.maximum(floor, parameters.baseline_factor * sums[:, 1])
    return [pl.Series(f"{level}_score", score), pl.Series(f"{level}_sums", sums), pl.Series(f"{level}_counts", counts)]


def _unpriced(state: dict[str, Columns], frame: pl.DataFrame, rows: npt.NDArray[np.int64], parameters: Parameters) -> list[pl.Series]:
    """The columns of the numbers that cannot be read or priced; 0 on other rows."""
    mine = frame[rows]
    answers = mine["odd_answers"].to_numpy()
    risk = np.where(mine["odd"].to_numpy() == UNREADABLE, parameters.unpriced_risk, mine["weight"].to_numpy())
    weight = risk * _concentration(_crowd(state["unpriced_crowd"], mine, "k_unpriced", answers, parameters))
    found = _level(state[UNPRICED], mine, UNPRICED, "k_unpriced", answers, weight, parameters)
    return [column_of(series.name, frame.height, rows, series.to_numpy(), 0) for series in found]


# --- what is over a line ---


def findings(frame: pl.DataFrame, parameters: Parameters, limits: Limits) -> list[Hit]:
    """The rows over the line of a level. Where a narrower level is over its line as well, the block is left to it."""
    found: list[Hit] = []
    if f"{UNPRICED}_score" in frame.columns:
        scores = frame[f"{UNPRICED}_score"].to_numpy()
        found += [Hit(row, "burst", UNPRICED, float(scores[row])) for row in np.flatnonzero(scores >= 1.0).tolist()]
    score = {level: frame[f"{level}_score"].to_numpy() for level in LEVELS}
    over = {level: score[level] >= 1.0 for level in LEVELS}
    if not any(rows.any() for rows in over.values()):
        return found
    # A withheld caller and a short number are no subjects of their own.
    for level in ("a_number", "b_range"):
        over[level] = over[level] & (frame[level] != "").to_numpy()
    for at, level in enumerate(LEVELS):
        for row in np.flatnonzero(over[level]).tolist():
            narrower = next((n for n in reversed(LEVELS[at + 1 :]) if over[n][row]), "")
            found.append(Hit(row, "burst", level, float(score[level][row]), narrower))
    return found


def facts(case: Case, parameters: Parameters) -> Facts:
    """What the windows of a subject hold when its episode begins belongs to the episode."""
    row, kind, start = case.row, case.hit.subject_kind, case.start
    mine, account = _sums_of(row, kind), _sums_of(row, "account")
    if not start:
        start.update(
            nanos=in_range(mine["sum_nanos"] - mine["now_nanos"]), calls=mine["sum_calls"] - mine["now_calls"],
            talk_ms=mine["sum_talk_ms"] - mine["now_talk_ms"], began_ms=mine["began_ms"], usual_per_ms=usual_per_ms(mine, parameters),
            account_usual_per_ms=usual_per_ms(account, parameters) if kind != "account" else -1.0, quiet_ms=_quiet_ms(mine, account),
        )  # fmt: skip
    window_ms = max(0, row["t_ms"] - int(start["began_ms"]))
    nanos = mine["sum_nanos"] - start["nanos"]

    def usually(per_ms: float) -> int | None:
        return None if per_ms < 0 else in_range(round(per_ms * window_ms * 1e9))

    weighted, lead = mine["weighted"], mine["lead"]
    share = 0 if weighted <= 0 else 100 if kind == "b_range" else max(0, min(100, round(50 * (1 + lead / weighted))))
    top = str(mine["top"])[1:]
    to = destination(top) if top else destination("", row["b_kind"])
    return Facts(
        subject_kind=kind, account=row["account"], trunk="" if row["account"] else row["ingress_trunk"], a_number=row["a_number"],
        calls=mine["sum_calls"] - int(start["calls"]), talk_ms=mine["sum_talk_ms"] - int(start["talk_ms"]), window_ms=window_ms,
        nanos=in_range(nanos), currency=case.currency if nanos else "", usual_nanos=usually(start["usual_per_ms"]),
        account_usual_nanos=usually(start["account_usual_per_ms"]), quiet_ms=int(start["quiet_ms"]), b_range=top[:-BLOCK_DIGITS],
        share_percent=share, code=to.code, country=to.country, country_name=to.name, number_kind=to.kind,
        dialled=case.dialled if kind == UNPRICED else [],
    )  # fmt: skip


def _sums_of(row: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """What a row sees of its subject of one kind, by name."""
    sums = dict(zip((*FLOATS, *INTS), (*row[f"{kind}_sums"], *row[f"{kind}_counts"]), strict=True))
    return sums | {"t_ms": row["t_ms"]}


def _quiet_ms(mine: Mapping[str, Any], account: Mapping[str, Any]) -> int:
    """For how long before the episode there was no call of the subject at all; 0 = there was one, or nobody watched."""
    if mine["since_ms"] < mine["began_ms"]:
        return 0
    # A subject that is silent for long may have been forgotten, and nobody knows what was before the account was watched.
    return max(0, min(int(mine["began_ms"] - account["since_ms"]), SILENT_MS))


def usual_per_ms(sums: Mapping[str, Any], parameters: Parameters) -> float:
    """The average money per millisecond of a subject before the windows that its row sees; -1 where its past is too short to tell.

    The long sum holds what the windows hold too, hardly faded; a sum that has run for `age` covers so much time as it has not faded:

    >>> sums = {"usual_money": 105.0, "now_nanos": 45 * 10**9, "since_ms": 0, "began_ms": 3_600_000, "t_ms": 3_600_000}
    >>> round(usual_per_ms(sums, Parameters()) * 60_000, 2)
    1.0
    """
    past_ms = sums["began_ms"] - sums["since_ms"]
    if past_ms < LEAST_PAST_MS:
        return -1.0
    half_ms = parameters.baseline_half_life_s * 1000
    covered_ms = half_ms / math.log(2) * (1 - 2.0 ** (-past_ms / half_ms))
    return max(0.0, float(sums["usual_money"] - sums["now_nanos"] * 1e-9)) / float(covered_ms)


DETECTOR = Detector(
    name="burst",
    about="more risky money in a short time than an account, a caller or a caller's calls into one range ever had reason to spend; and "
    "the same of an account's numbers that cannot be read or priced",
    needs=(
        "t_ms", "started_ms", "nanos", "money", "currency", "talk_ms", "calls", "weight", "b_code", "b_kind", "b_range", "a_number", "odd",
        "odd_answers", "k_account", "k_a_number", "k_b_range", "k_range", "k_unpriced", "partition", "home", "account", "ingress_trunk",
    ),
    state={**dict.fromkeys((*LEVELS, UNPRICED), STATE), "range": FADING, "unpriced_crowd": FADING},
    update=update,
    findings=findings,
    facts=facts,
    parameters=Parameters,
)  # fmt: skip
