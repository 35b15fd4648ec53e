"""From contributions to hits and facts, for the detectors whose verdict is a probability and an expected loss (`detectors.evidence`)."""

from __future__ import annotations

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
from detectors.evidence import DAY_H, PRIOR, QUARTER, REGULAR_DAYS, Part, Rows, contributions, log_odds, probability
from detectors.protocol import Case, Detector, Hit, Least, Limits

NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
PartsOf = Callable[[Rows], Sequence[Part]]
Candidates = npt.NDArray[np.bool_]
"""A place per row of the frame."""
Update = Callable[[dict[str, Columns], pl.DataFrame, Any, Limits], pl.DataFrame]

PROFILE = tuple(f"p_{kind}" for kind in profile.KINDS)
READS = (
    "t_ms", "b_number", "b_code", "b_kind", "b_range", "zone", "a_number", "account", "ingress_trunk", "weight", "unit", "calls", "answers", "shorts",
    "rings", "misses", *PROFILE,
)  # fmt: skip
"""What every such detector reads."""

SURE = 0.9
"""Only from this probability on is a regular destination reported: nothing is refused there, so a doubt is no reason to wake somebody."""
ONE_CALLER = 0.7
"""A subject whose calls one a_number leads by this share is blocked for that a_number alone."""


def burn(rows: Rows, kind: str, over_a_day: bool = False) -> npt.NDArray[np.float64]:
    """Money that a subject spends in the next 15 minutes if it goes on as it does, in the policy's units."""
    if not over_a_day:
        return np.asarray(rows.of(kind, "money") * QUARTER * rows["unit"])
    hours = np.clip(rows.of(kind, "age_ms") / profile.HOUR_MS, 1.0, DAY_H)
    return np.asarray(rows.of(kind, "day_money") * rows["unit"] * 0.25 / hours)


def hits(
    frame: pl.DataFrame, name: str, kind: str, candidates: Candidates, parts_of: PartsOf, least_probability: float, least_loss: float,
    *, over_a_day: bool = False, no_block: str = "",
) -> list[Hit]:  # fmt: skip
    """The candidates whose probability and expected loss reach their least values. `least_loss` = 0: money is not what it is about."""
    rows = np.flatnonzero(candidates)
    if not len(rows):
        return []
    view = Rows.of_frame(frame, rows)
    likely = probability(log_odds(parts_of(view)))
    loss = likely * burn(view, kind, over_a_day)
    over = (likely >= least_probability) & (loss >= least_loss)
    is_regular = view.of(kind, "days") >= REGULAR_DAYS
    over &= ~is_regular | (likely >= SURE) | (least_probability == 0)
    alone = view.of(kind, "lead") >= ONE_CALLER
    good = view.of(kind, "normal_calls") * 0.25
    callers = frame["a_number"].to_list()
    least = Least(least_probability, least_loss, over_a_day)
    found = []
    for at in np.flatnonzero(over).tolist():
        row = int(rows[at])
        why = no_block or ("regular" if is_regular[at] else "")
        score = float(likely[at] / max(least_probability, 1e-9))
        found.append(
            Hit(row, name, kind, round(score, 6), why, probability=float(likely[at]), loss=float(loss[at]), good_calls=float(good[at]),
                one_caller=bool(alone[at] and callers[row]), least=least)
        )  # fmt: skip
    return found


def facts(case: Case, kind: str, fraud: str, parts_of: PartsOf) -> Facts:
    """The facts of an episode, with the contributions of the row that it is about."""
    parts = parts_of(Rows.of_case(case.row))
    found = profile.facts(case, kind)
    least = case.hit.least
    needed: list[Instead] = []
    if least is not None:

        def is_over(view: Rows) -> npt.NDArray[np.bool_]:
            likely = probability(log_odds(parts_of(view)))
            return np.asarray((likely >= least.probability) & (likely * burn(view, kind, least.over_a_day) >= least.loss))

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
) -> Detector:  # fmt: skip
    """A detector whose verdict is a probability, and an expected loss where its parameters have a `least_loss`. `candidates` are the rows worth
    weighing, `parts` what is weighed, `fraud` the code of its text; `over_a_day` and `no_block`: as in `hits`."""

    def findings(frame: pl.DataFrame, values: Any, limits: Limits) -> list[Hit]:
        least_loss = getattr(values, "least_loss", 0.0)
        return hits(
            frame, name, kind, candidates(frame, values), parts, values.least_probability, least_loss, over_a_day=over_a_day, no_block=no_block
        )  # fmt: skip

    return Detector(
        name=name, about=about, needs=needs, state=state, update=update, findings=findings,
        facts=lambda case, _: facts(case, kind, fraud, parts), parameters=parameters, fields=fields,
    )  # fmt: skip
