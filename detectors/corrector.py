"""What verdicts say about the weights: a logistic regression over an alert's contributions, which learns from each verdict after it was scored.

It reads the contributions of the alert (by code) and its log-odds, and starts as the detectors are: with no correction. Its state is one weight per
code, so it is bounded; it is the same however the verdicts are cut, because they are learned one by one in the order in which they were given.

Where the policy turns it on, judge weighs each finding by the weights of the config version in force (`applied`): the finding shows it as one more
contribution, and a block that is not certain enough with it is not made. It never makes a block by itself, and suppresses no alert.

Only what was alerted has verdicts, so it learns the difference between right and wrong alerts, and nothing of traffic that was never alerted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from core.facts import Contribution, Facts, odds_of, probability
from core.policy import Policy
from detectors.protocol import Hit

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
        return probability(uncorrected(facts) + self.bias + sum(self.weights.get(code, 0.0) * value for code, value in features(facts).items()))


LEAST = 30
"""Verdicts below which it corrects nothing."""
CODE, BIAS = "verdicts", "bias"
MOST = 6.0
"""Points that a correction adds or takes at most: as much as two strong contributions."""


def features(facts: Facts) -> dict[str, float]:
    """The contributions of an alert by their code, and what it looks like.

    >>> from core.facts import Contribution
    >>> features(Facts(subject_kind="account", fraud="irsf", evidence=[Contribution("rate", 4.0, 9.0, 1.0)]))
    {'rate': 1.0, 'fraud:irsf': 1.0}
    """
    found = {one.code: one.points / SCALE for one in facts.evidence if one.code != CODE}
    return found | ({f"fraud:{facts.fraud}": 1.0} if facts.fraud else {})


def uncorrected(facts: Facts) -> float:
    """The detector's own log-odds, without a correction; 0 where it gives none."""
    return max(-20.0, min(20.0, odds_of(facts) - sum(one.points for one in facts.evidence if one.code == CODE)))


def applied(policy: Policy, hit: Hit, facts: Facts) -> tuple[Hit, Facts]:
    """A finding as judge weighs it with the corrections in force. A hard limit (without evidence) stays as it is.

    >>> from core.facts import Contribution
    >>> facts = Facts(subject_kind="account", prior=-10.0, evidence=[Contribution("rate", 8.0, 9.0, 1.0), Contribution("price", 6.0, 2.0, 0.1)])
    >>> hit = Hit(0, "irsf", "account", 1.0, probability=0.98, loss=20.0)
    >>> less, shown = applied(Policy(corrector="on", corrections={"price": -2.0}, corrected_by=40), hit, facts)
    >>> round(less.probability, 2), round(less.loss, 1), shown.evidence[-1], applied(Policy(), hit, facts) == (hit, facts)
    (0.73, 14.9, Contribution(code='verdicts', points=-3.0, value=40.0, normal=0.0), True)
    >>> applied(Policy(corrector="on", corrections={"price": 2.0}, corrected_by=40), hit, facts)[0] == hit
    True
    """
    if policy.corrector == "off" or policy.corrected_by < LEAST or not facts.evidence:
        return hit, facts
    points = policy.corrections.get(BIAS, 0.0) + sum(policy.corrections.get(code, 0.0) * value for code, value in features(facts).items())
    points = round(max(-MOST, min(MOST, points)), 2)
    if not points:
        return hit, facts
    odds = odds_of(facts)
    evidence = sorted((*facts.evidence, Contribution(CODE, points, float(policy.corrected_by), 0.0)), key=lambda one: -abs(one.points))
    shown = msgspec.structs.replace(facts, evidence=evidence, odds=round(odds + points, 2))
    likely = min(hit.probability, probability(odds + points))
    return hit._replace(probability=likely, loss=hit.loss * (likely / max(hit.probability, 1e-9))), shown


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
        x, offset = features(one.facts), uncorrected(one.facts)
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
