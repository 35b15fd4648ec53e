"""Burst: much more money in a short time than the subject usually spends, weighted by the risk of the destination.

The same rule on three levels: an account, an a_number under it, and that pair with a b_number range. A narrower subject has a lower floor,
so the narrowest block that covers an attack stops it, and an attack that spreads out is found on a wider level.

    weight = risk of the destination * concentration
    score  = weighted money in the half-life / max(floor, baseline_factor * the subject's own long average)

Concentration separates revenue share fraud from an expensive call home: the fraudster owns a range and fills it. It is 0 for an account's only
call into a range, grows with the square of the number of further calls, and is 1 from `CROWD` calls in the half-life on.

The numbers of an account that cannot be read, or that no rate deck prices, are a fourth subject under the same rule. They count as one range,
since their destinations are unknown. A minute counts at `unpriced_per_min`, and an unreadable number has the risk `unpriced_risk`: a lenient
carrier may connect it anywhere. Only answered calls count.
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
from detectors import irsf_range
from detectors.columns import Columns, column_of
from detectors.decay import DECAYED, FADING, FLOATS, INTS, STATE, decay, fade
from detectors.destination import destination
from detectors.evidence import REGULAR_DAYS, WINDOW_H, Rows, log_odds, probability
from detectors.features import BLOCK_DIGITS, READABLE, UNREADABLE
from detectors.profile import seen
from detectors.protocol import Case, Detector, Hit, Limits
from detectors.scored import RISKY

LEVELS = ("account", "a_number", "b_range")
CROWD = 6.0
KNOWN_HOURS = 6.0
"""After so many hours of an account its normal is relied on."""
UNLIKELY = 0.3
"""Below this probability a crowd in a range is no alert."""
MUCH = 3.0
"""An account or a caller is reported if the account spends so many times its normal."""
MIN_FLOOR = 1e-9
"""Replaces a floor of 0, so that a score is always finite."""

SILENT_MS = 6 * 3_600_000
"""After a silence of this length the short sums of a subject have decayed to 2**-24; only its long average may still matter."""

MIN_PAST_MS = 3_600_000
"""A subject that was watched for less time than this before an episode has no usual spending yet."""

Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is risk-weighted, in the policy's units."""

    half_life_s: Positive = 900.0  # of the money that counts as sudden
    baseline_half_life_s: Positive = 7 * 86_400.0  # of the long average that it is compared with
    account_floor: NotNegative = 120.0  # weighted money in the half-life below which an account is not suspicious
    a_number_floor: NotNegative = 80.0  # the same for one caller
    b_range_floor: NotNegative = 50.0  # and for one caller into one range
    unpriced_floor: NotNegative = 60.0  # and for an account's calls to numbers that cannot be read or priced
    baseline_factor: NotNegative = 6.0  # how many times its own long average a subject must reach
    unpriced_per_min: NotNegative = 0.25  # the nominal price of a minute where no price is known
    unpriced_risk: NotNegative = 6.0  # the risk of a number that cannot be read: that of premium rate


def floor_of(level: str, parameters: Parameters) -> float:
    """The weighted money below which no subject of a level is suspicious."""
    return max(float(getattr(parameters, f"{level}_floor")), MIN_FLOOR)


# --- update ---


def update(state: dict[str, Columns], frame: pl.DataFrame, parameters: Parameters, limits: Limits) -> pl.DataFrame:
    """Add `range_calls`, the account's calls into the range in the half-life; and for each level `<level>_score`, `<level>_sums`
    (`decay.FLOATS`) and `<level>_counts` (`decay.INTS`): the subject's sums including this row. The columns of `unpriced` are added only
    where a row of the frame has such a number."""
    rows = np.flatnonzero(frame["odd"].to_numpy() != READABLE)
    if len(rows):
        frame = frame.hstack(_unpriced(state, frame, rows, parameters))
    calls = _crowd(state["range"], frame, "k_account_range", frame["calls"].to_numpy(), parameters)
    weight = frame["weight"].to_numpy() * _concentration(calls)
    added = [pl.Series("range_calls", calls)]
    for level in LEVELS:
        added += _level(state[level], frame, level, frame["calls"].to_numpy(), weight, parameters)
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
    state: Columns, frame: pl.DataFrame, level: str, calls: npt.NDArray[np.int64], weight: npt.NDArray[np.float64], parameters: Parameters
) -> list[pl.Series]:
    n, floor = frame.height, floor_of(level, parameters)
    sums, counts = np.zeros((n, len(FLOATS))), np.zeros((n, len(INTS)), np.int64)
    half_ms, long_ms = parameters.half_life_s * 1000, parameters.baseline_half_life_s * 1000
    talk_ms = frame["talk_ms"].to_numpy()
    # A row without a price counts its minutes at a nominal one, so that a feed without money is watched as well.
    no_price = np.asarray([currency == "" for currency in frame["currency"].to_list()], np.bool_)
    nominal = talk_ms / 60_000 * parameters.unpriced_per_min * no_price
    slots = state.enter(frame, f"k_{level}")
    decay(
        slots, frame["t_ms"].to_numpy(), frame["started_ms"].to_numpy(), frame["nanos"].to_numpy(), (frame["money"].to_numpy() + nominal) * weight,
        talk_ms, calls, frame["b_code"].to_numpy(), half_ms, long_ms, *(state[name] for name in DECAYED), sums, counts,
    )  # fmt: skip
    # A subject may be forgotten after a silence in which its long average has decayed to a twentieth of what would raise its floor.
    excess = state["usual"][slots] * (half_ms / long_ms) * parameters.baseline_factor / (0.05 * floor)
    stays_ms = np.maximum(SILENT_MS, long_ms * np.log2(np.maximum(excess, 1.0)))
    state["until_ms"][slots] = state["t_ms"][slots] + stays_ms.astype(np.int64)
    score = sums[:, 0] / np.maximum(floor, parameters.baseline_factor * sums[:, 1])
    return [pl.Series(f"{level}_score", score), pl.Series(f"{level}_sums", sums), pl.Series(f"{level}_counts", counts)]


def _unpriced(state: dict[str, Columns], frame: pl.DataFrame, rows: npt.NDArray[np.int64], parameters: Parameters) -> list[pl.Series]:
    """The columns of the numbers that cannot be read or priced; 0 on other rows."""
    odd = frame[rows]
    answers = odd["odd_answers"].to_numpy()
    risk = np.where(odd["odd"].to_numpy() == UNREADABLE, parameters.unpriced_risk, odd["weight"].to_numpy())
    weight = risk * _concentration(_crowd(state["unpriced_crowd"], odd, "k_unpriced", answers, parameters))
    columns = _level(state[UNPRICED], odd, UNPRICED, answers, weight, parameters)
    return [column_of(series.name, frame.height, rows, series.to_numpy(), 0) for series in columns]


# --- findings ---


def findings(frame: pl.DataFrame, parameters: Parameters, limits: Limits) -> list[Hit]:
    """The rows whose score reaches 1 on a level. Where a narrower level reaches it as well, the block is left to that one.

    Only a caller's calls into one range are blocked: money alone is no reason to refuse a whole account, or all calls of a caller. A range that
    the account called on several days stays open; one of ordinary numbers is blocked if fraud is likely (`irsf_range`)."""
    found: list[Hit] = []
    if f"{UNPRICED}_score" in frame.columns:
        scores = frame[f"{UNPRICED}_score"].to_numpy()
        found += [Hit(row, "burst", UNPRICED, float(scores[row])) for row in np.flatnonzero(scores >= 1.0).tolist()]
    score = {level: frame[f"{level}_score"].to_numpy() for level in LEVELS}
    over = {level: score[level] >= 1.0 for level in LEVELS}
    if not any(rows.any() for rows in over.values()):
        return found
    # A withheld caller and a short number are not subjects of their own.
    for level in ("a_number", "b_range"):
        over[level] = over[level] & (frame[level] != "").to_numpy()
    likely = _likely(frame, over["b_range"])
    for row, p in likely.items():
        over["b_range"][row] = p >= UNLIKELY
    # Once the account is known, its own money of the days before decides whether a wide level is much.
    now, normal = seen(frame, "account", "money") / WINDOW_H, Rows.of_frame(frame, np.arange(frame.height)).before("account", "money")
    much = (seen(frame, "account", "hours") < KNOWN_HOURS) | (now >= MUCH * normal)
    days = seen(frame, "account_range", "days")
    for at, level in enumerate(LEVELS):
        for row in np.flatnonzero(over[level]).tolist():
            narrower = next((n for n in reversed(LEVELS[at + 1 :]) if over[n][row]), "")
            if level != "b_range" and (narrower == "b_range" or not much[row]):
                continue  # the narrower alert says the same
            why = narrower or ("wide" if level != "b_range" else "regular" if days[row] >= REGULAR_DAYS else "")
            found.append(Hit(row, "burst", level, float(score[level][row]), why, probability=likely.get(row, 1.0)))
    return found


def _likely(frame: pl.DataFrame, over: npt.NDArray[np.bool_]) -> dict[int, float]:
    """How likely fraud is in the rows that are over, by what `irsf_range` weighs; 1 where nothing is known of the account yet and the
    destination's kind is risky in itself."""
    rows = np.flatnonzero(over)
    if not len(rows):
        return {}
    likely = probability(log_odds(irsf_range.parts(Rows.of_frame(frame, rows))))
    unknown = seen(frame, "account", "hours")[rows] < KNOWN_HOURS
    likely = np.where(unknown & (frame["weight"].to_numpy()[rows] >= RISKY), 1.0, np.where(unknown, np.maximum(likely, UNLIKELY), likely))
    return dict(zip(rows.tolist(), likely.tolist(), strict=True))


def facts(case: Case, parameters: Parameters) -> Facts:
    """The facts of an episode. It includes what the windows of its subject contain when it begins."""
    row, kind, start = case.row, case.hit.subject_kind, case.start
    sums, account = _sums_of(row, kind), _sums_of(row, "account")
    if not start:
        start.update(
            nanos=in_range(sums["sum_nanos"] - sums["now_nanos"]), calls=sums["sum_calls"] - sums["now_calls"],
            talk_ms=sums["sum_talk_ms"] - sums["now_talk_ms"], began_ms=sums["began_ms"], usual_per_ms=usual_per_ms(sums, parameters),
            account_usual_per_ms=usual_per_ms(account, parameters) if kind != "account" else -1.0, quiet_ms=_quiet_ms(sums, account),
        )  # fmt: skip
    window_ms = max(0, row["t_ms"] - int(start["began_ms"]))
    nanos = sums["sum_nanos"] - start["nanos"]

    def usual_nanos(per_ms: float) -> int | None:
        return None if per_ms < 0 else in_range(round(per_ms * window_ms * 1e9))

    weighted, lead = sums["weighted"], sums["lead"]
    share = 0 if weighted <= 0 else 100 if kind == "b_range" else max(0, min(100, round(50 * (1 + lead / weighted))))
    top = str(sums["top"])[1:]
    to = destination(top) if top else destination("", row["b_kind"])
    return Facts(
        subject_kind=kind, account=row["account"], trunk="" if row["account"] else row["ingress_trunk"], a_number=row["a_number"],
        calls=sums["sum_calls"] - int(start["calls"]), talk_ms=sums["sum_talk_ms"] - int(start["talk_ms"]), window_ms=window_ms,
        nanos=in_range(nanos), currency=case.currency if nanos else "", usual_nanos=usual_nanos(start["usual_per_ms"]),
        account_usual_nanos=usual_nanos(start["account_usual_per_ms"]), quiet_ms=int(start["quiet_ms"]), b_range=top[:-BLOCK_DIGITS],
        share_percent=share, code=to.code, country=to.country, country_name=to.name, number_kind=to.kind,
        dialled=case.dialled if kind == UNPRICED else [],
    )  # fmt: skip


def _sums_of(row: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The sums of a row's subject of one kind, by name."""
    sums = dict(zip((*FLOATS, *INTS), (*row[f"{kind}_sums"], *row[f"{kind}_counts"]), strict=True))
    return sums | {"t_ms": row["t_ms"]}


def _quiet_ms(sums: Mapping[str, Any], account: Mapping[str, Any]) -> int:
    """How long the subject had no call at all before the episode; 0 = it had one, or its account was not watched yet."""
    if sums["since_ms"] < sums["began_ms"]:
        return 0
    # A subject that was silent for long may have been forgotten, and calls from before the account was watched are unknown.
    return max(0, min(int(sums["began_ms"] - account["since_ms"]), SILENT_MS))


def usual_per_ms(sums: Mapping[str, Any], parameters: Parameters) -> float:
    """The average money per millisecond of a subject before its windows; -1 where its past is shorter than `MIN_PAST_MS`.

    The long sum includes the windows, hardly decayed; it covers as much time as has not decayed since its subject's first row:

    >>> sums = {"usual_money": 105.0, "now_nanos": 45 * 10**9, "since_ms": 0, "began_ms": 3_600_000, "t_ms": 3_600_000}
    >>> round(usual_per_ms(sums, Parameters()) * 60_000, 2)
    1.0
    """
    past_ms = sums["began_ms"] - sums["since_ms"]
    if past_ms < MIN_PAST_MS:
        return -1.0
    half_ms = parameters.baseline_half_life_s * 1000
    covered_ms = half_ms / math.log(2) * (1 - 2.0 ** (-past_ms / half_ms))
    return max(0.0, float(sums["usual_money"] - sums["now_nanos"] * 1e-9)) / float(covered_ms)


DETECTOR = Detector(
    name="burst",
    about="much more risk-weighted money in a short time than an account, a caller or a caller's calls into one range usually spend; and "
    "the same for an account's calls to numbers that cannot be read or priced",
    needs=(
        "t_ms", "started_ms", "nanos", "money", "currency", "talk_ms", "calls", "weight", "b_code", "b_kind", "b_range", "a_number", "odd",
        "odd_answers", "k_account", "k_a_number", "k_b_range", "k_account_range", "k_unpriced", "partition", "home", "account", "ingress_trunk",
        "unit", "p_account", "p_account_range", "p_account_zone",
    ),
    state={**dict.fromkeys((*LEVELS, UNPRICED), STATE), "range": FADING, "unpriced_crowd": FADING},
    update=update,
    findings=findings,
    facts=facts,
    parameters=Parameters,
)  # fmt: skip
