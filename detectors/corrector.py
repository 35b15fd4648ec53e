"""What verdicts say about the weights: a logistic regression over an alert's contributions, which learns from each verdict after it was scored.

It reads the contributions of the alert (by code) and its log-odds, and starts as the detectors are: with no correction. It changes no alert and no
block; it says how likely fraud is by what people said of like alerts. Its state is one weight per code, so it is bounded; it is the same however the
verdicts are cut, because they are learned one by one in the order in which they were given.

Only what was alerted has verdicts, so it learns the difference between right and wrong alerts, and nothing of traffic that was never alerted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from core.facts import Facts, odds_of, probability

RATE = 0.02
L2 = 0.01
SCALE = 4.0
"""Contributions are divided by this: they are up to 12 points."""


class Judged(NamedTuple):
    """A verdict on an alert. `spread`: it follows that of another alert, and is not learned a second time."""

    facts: Facts
    fraud: bool
    spread: bool = False


@dataclass(frozen=True)
class Corrector:
    """What was learned from `learned` verdicts. `loss_before`, `loss_after`: the mean log loss of the detectors' own probabilities and of the
    corrected ones, each verdict scored before it was learned."""

    weights: dict[str, float]
    bias: float
    learned: int
    loss_before: float
    loss_after: float

    @property
    def helps(self) -> bool:
        """Whether its probabilities were the better ones, over enough verdicts to tell."""
        return self.learned >= LEAST and self.loss_after < self.loss_before

    def probability(self, facts: Facts) -> float:
        """The corrected probability of an alert."""
        return probability(odds_of(facts) + self.bias + sum(self.weights.get(code, 0.0) * value for code, value in features(facts).items()))


LEAST = 30
"""Verdicts below which it corrects nothing."""


def features(facts: Facts) -> dict[str, float]:
    """The contributions of an alert by their code, and what it looks like.

    >>> from core.facts import Contribution
    >>> features(Facts(subject_kind="account", fraud="irsf", evidence=[Contribution("rate", 4.0, 9.0, 1.0)]))
    {'rate': 1.0, 'fraud:irsf': 1.0}
    """
    found = {one.code: one.points / SCALE for one in facts.evidence}
    return found | ({f"fraud:{facts.fraud}": 1.0} if facts.fraud else {})


def learn(verdicts: Iterable[Judged]) -> Corrector:
    """Learns verdicts in their order: each is scored first."""
    from river import linear_model, optim

    model: Any = linear_model.LogisticRegression(optimizer=optim.SGD(RATE), l2=L2, intercept_lr=RATE)
    known: Corrector = Corrector({}, 0.0, 0, 0.0, 0.0)
    before = after = 0.0
    learned = 0
    for one in verdicts:
        if one.spread:
            continue
        x, offset = features(one.facts), max(-20.0, min(20.0, odds_of(one.facts)))
        before += _loss(probability(offset), one.fraud)
        after += _loss(known.probability(one.facts), one.fraud)
        # River's regression has no offset: the detector's log-odds are a feature whose weight stays 1.
        model._weights["odds"] = 1.0
        model.learn_one(x | {"odds": offset}, one.fraud)
        model._weights["odds"] = 1.0
        learned += 1
        weights = {code: float(model.weights[code]) for code in model.weights if code != "odds"}
        known = Corrector(weights, float(model.intercept), learned, before / learned, after / learned)
    return known


def _loss(likely: float, fraud: bool) -> float:
    return -math.log(max(likely if fraud else 1.0 - likely, 1e-9))
