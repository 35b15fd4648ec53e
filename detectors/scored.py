"""From contributions to hits and facts, for the detectors whose verdict is a probability and an expected loss (`detectors.evidence`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from core.facts import Facts, Instead
from detectors import profile
from detectors.columns import Columns
from detectors.counterfactual import instead
from detectors.evidence import DAY_H, PRIOR, QUARTER, REGULAR_DAYS, Part, Rows, contributions, known, log_odds, probability
from detectors.protocol import Case, Detector, Hit, Least, Limits

NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
PartsOf = Callable[[Rows], Sequence[Part]]
Candidates = npt.NDArray[np.bool_]
"""A place per row of the frame."""
KNOWN_FOR = frozenset({"irsf", "irsf_block", "irsf_slow", "irsf_short", "takeover", "test_calls", "subscription"})
"""Frauds that pay by where they call, so that a range known for fraud is evidence of them."""
Update = Callable[[dict[str, Columns], pl.DataFrame, Any, Limits], pl.DataFrame]

PROFILE = tuple(f"p_{kind}" for kind in profile.KINDS)
READS = (
    "t_ms", "b_number", "b_code", "b_kind", "b_range", "zone", "a_number", "account", "ingress_trunk", "weight", "unit", "calls", "answers", "shorts",
    "rings", "misses", "known_points", "known_days", *PROFILE,
)  # fmt: skip
"""What every such detector reads."""

SURE = 0.9
"""Only from this probability on is a regular destination reported: nothing is refused there, so a doubt is no reason to wake somebody."""
AGAIN = 6.0
"""Log-odds that an earlier block of the account adds, within `blocked.REMEMBERED_MS`: whoever was refused tries the next range, or comes back.
Among windows of calls of such an account one in some dozens is of the fraud, not one in 20,000."""
AGAIN_SAME = 9.0
"""The same where the calls go to what was blocked: there nearly all are."""
MOST_ODDS = 20.0
RISKY = 3.0
"""From this weight on a kind of number is risky in itself (`detectors.risk.WEIGHTS`): unallocated, satellite, premium."""
FEW = ("least_calls", "least_day_money", "least_shorts")
"""Of an account that was blocked, one call and one unit of money are worth weighing."""
ONE_CALLER = 0.7
"""A subject whose calls one a_number leads by this share is blocked for that a_number alone."""


def burn(rows: Rows, kind: str, over_a_day: bool = False) -> npt.NDArray[np.float64]:
    """Money that a subject spends in the next 15 minutes if it goes on as it does, in the policy's units."""
    if not over_a_day:
        return np.asarray(rows.of(kind, "money") * QUARTER * rows["unit"])
    return per_quarter(rows, kind, rows.of(kind, "day_money") * rows["unit"])


def per_quarter(rows: Rows, kind: str, of_day: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What a sum of a subject's day comes to in 15 minutes, of a younger subject by the hours that it has."""
    hours = np.clip(rows.of(kind, "age_ms") / profile.HOUR_MS, 1.0, DAY_H)
    return np.asarray(of_day * 0.25 / hours)


Burns = Callable[[Rows, str, bool], npt.NDArray[np.float64]]
"""As `burn`."""


def hits(
    frame: pl.DataFrame, name: str, kind: str, candidates: Candidates, parts_of: PartsOf, least_probability: float, least_loss: float,
    *, over_a_day: bool = False, no_block: str = "", again: float = 0.0, burns: Burns = burn,
) -> list[Hit]:  # fmt: skip
    """The candidates whose probability and expected loss reach their least values. `least_loss` = 0: money is not what it is about. `again`: those
    instead that reach them only with so much more log-odds."""
    rows = np.flatnonzero(candidates)
    if not len(rows):
        return []
    view = Rows.of_frame(frame, rows)
    odds, spends = log_odds(parts_of(view)), burns(view, kind, over_a_day)
    is_regular = view.of(kind, "days") >= REGULAR_DAYS

    def over(added: float) -> npt.NDArray[np.bool_]:
        likely = probability(odds + added)
        sure = ~is_regular | (likely >= SURE) | (least_probability == 0)
        return np.asarray((likely >= least_probability) & (likely * spends >= least_loss) & sure)

    is_over = over(again) & ~over(0.0) if again else over(0.0)
    if not is_over.any():
        return []
    likely, one_caller = probability(odds), view.of(kind, "lead") >= ONE_CALLER
    good, callers = view.of(kind, "normal_calls") * 0.25, frame["a_number"].to_list()
    risky = (view["weight"] >= RISKY) | (view["known_points"] > 0)
    least = Least(least_probability, least_loss, over_a_day)
    found = []
    for at in np.flatnonzero(is_over).tolist():
        row, p = int(rows[at]), float(likely[at])
        found.append(
            Hit(row, name, kind, round(p / max(least_probability, 1e-9), 6), no_block or ("regular" if is_regular[at] else ""), probability=p,
                loss=float(p * spends[at]), good_calls=float(good[at]), one_caller=bool(one_caller[at] and callers[row]),
                can_repeat=least_loss > 0 and not no_block, least=least, risky=bool(risky[at]))
        )  # fmt: skip
    return found


def repeated(hit: Hit, is_same: bool, usual_calls: float, earlier: float) -> Hit:
    """A hit of an account that was blocked before, for the same destination or another; `usual_calls` per hour of the account are somebody's own.
    `earlier`: the log-odds of the blocks before. A repeat adds no more than these: what was doubtful makes nothing else certain.

    >>> hit = Hit(0, "takeover", "account_zone", 0.5, probability=0.3, loss=3.0, can_repeat=True)
    >>> [round(repeated(hit, False, calls, 9.0).probability, 3) for calls in (0.0, 3.0, 100.0)], round(repeated(hit, True, 3.0, 9.0).loss, 2)
    ([0.994, 0.977, 0.631], 10.0)
    >>> round(repeated(hit, True, 0.0, earlier=2.2).probability, 3)
    0.795
    """
    if not hit.can_repeat or not 0 < hit.probability < 1:
        return hit
    added = min(AGAIN_SAME if is_same else max(0.0, AGAIN - math.log1p(usual_calls)), max(earlier, 0.0))
    p = 1.0 / (1.0 + (1.0 - hit.probability) / hit.probability * math.exp(-added))
    up = p / hit.probability
    return hit._replace(probability=p, loss=hit.loss * up, score=round(hit.score * up, 6), again=added)


def is_enough(hit: Hit) -> bool:
    """Whether a hit reaches what its detector needs for an alert, with what a repeat has added: less than `Detector.repeats` reckoned with.

    >>> hit = Hit(0, "takeover", "account_zone", 1.0, probability=0.8, loss=3.0, least=Least(0.8, 2.0, False))
    >>> is_enough(hit), is_enough(hit._replace(loss=1.9)), is_enough(hit._replace(no_block="regular"))
    (True, False, False)
    """
    if hit.least is None:
        return hit.score >= 1
    sure = hit.no_block != "regular" or hit.probability >= SURE or hit.least.probability == 0
    return hit.probability >= hit.least.probability and hit.loss >= hit.least.loss and sure


def odds_of(hit: Hit) -> float:
    """The log-odds of a hit without what a repeat has added; of a hard limit `MOST_ODDS`.

    >>> round(odds_of(Hit(0, "takeover", "account_zone", 1.0, probability=0.9)), 2), odds_of(Hit(0, "burst", "b_range", 1.0))
    (2.2, 20.0)
    """
    p = hit.probability
    return MOST_ODDS if p >= 1 else max(min(math.log(max(p, 1e-9) / (1 - p)) - hit.again, MOST_ODDS), -MOST_ODDS)


def facts(case: Case, kind: str, fraud: str, parts_of: PartsOf, burns: Burns = burn) -> Facts:
    """The facts of an episode, with the contributions of the row that it is about."""
    parts = list(parts_of(Rows.of_case(case.row)))
    if case.hit.again:
        parts.append(Part("again", np.asarray([case.hit.again]), np.ones(1), np.zeros(1)))
    found = profile.facts(case, kind)
    least = case.hit.least
    needed: list[Instead] = []
    if least is not None:

        def is_over(view: Rows) -> npt.NDArray[np.bool_]:
            likely = probability(log_odds(parts_of(view)) + case.hit.again)
            return np.asarray((likely >= least.probability) & (likely * burns(view, kind, least.over_a_day) >= least.loss))

        needed = instead(case.row, kind, is_over, least.over_a_day)
    a_number = case.row["a_number"] if case.hit.one_caller else found.a_number
    return msgspec.structs.replace(
        found, fraud=fraud, a_number=a_number, evidence=contributions(parts), prior=PRIOR, loss=round(case.hit.loss, 2),
        odds=round(float(log_odds(parts)[0]), 2), instead=needed,
    )  # fmt: skip


def unchanged(state: Any, frame: pl.DataFrame, parameters: Any, limits: Any) -> pl.DataFrame:
    """The update of a detector that needs no state of its own: the shared features have it."""
    return frame


def scored(
    *, name: str, about: str, fraud: str, kind: str, parts: PartsOf, candidates: Callable[[pl.DataFrame, Any], Candidates],
    parameters: type[msgspec.Struct], over_a_day: bool = False, no_block: str = "", needs: tuple[str, ...] = READS,
    state: Mapping[str, Mapping[str, Any]] = MappingProxyType({}), update: Update = unchanged, fields: tuple[str, ...] = (),
    also: Mapping[str, Callable[[pl.DataFrame, Any], Candidates]] = MappingProxyType({}), burns: Burns = burn,
) -> Detector:  # fmt: skip
    """A detector whose verdict is a probability, and an expected loss where its parameters have a `least_loss`. `candidates` are the rows worth
    weighing, `parts` what is weighed, `fraud` the code of its text; `over_a_day` and `no_block`: as in `hits`; `also`: other kinds of subject with
    their rows; `burns`: what the next 15 minutes cost."""
    rows_of = {kind: candidates, **also}

    def weighed(rows: Rows) -> Sequence[Part]:
        return (*parts(rows), known(rows)) if fraud in KNOWN_FOR else parts(rows)

    def findings(frame: pl.DataFrame, values: Any, limits: Limits, again: float = 0.0) -> list[Hit]:
        least_loss = getattr(values, "least_loss", 0.0)
        return [
            hit
            for of, worth in rows_of.items()
            for hit in hits(
                frame, name, of, worth(frame, values), weighed, values.least_probability, least_loss, over_a_day=over_a_day, no_block=no_block,
                again=again, burns=burns,
            )
        ]  # fmt: skip

    def repeats(frame: pl.DataFrame, values: Any, limits: Limits) -> list[Hit]:
        few = {name: 1.0 for name in FEW if getattr(values, name, 0.0) > 1.0}
        enough = {of: worth(frame, values) for of, worth in rows_of.items()}
        found = findings(frame, msgspec.structs.replace(values, **few), limits, AGAIN_SAME)
        return [hit if enough[hit.subject_kind][hit.row] else hit._replace(few=True) for hit in found]

    return Detector(
        name=name, about=about, needs=needs, state=state, update=update, findings=findings,
        facts=lambda case, _: facts(case, case.hit.subject_kind, fraud, weighed, burns), parameters=parameters, fields=fields,
        repeats=None if no_block or not hasattr(parameters, "least_loss") else repeats,
    )  # fmt: skip
