"""The page docs/evaluation.md from the results that are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from evaluation.intervals import lower_bound, percentile, upper_bound
from evaluation.results import Episode, Result
from evaluation.sichuan import Real

HEAD = """# Evaluation

Made by `make evaluate`. Every figure is as it fell; a goal that is missed says so. Units are the episode (an attack from its first call to its last)
and money. Nothing is tuned on what is scored here: thresholds of the opponents and the labels of the supervised oracle come from other seeds, ours
are the shipped defaults, and the figures of the simulator were fixed before ([decision](decisions/simulator-parameters-come-from-the-literature.md)).

- **found**: an alert inside the episode that shows its calls or names its account or carrier. **kept**: the money of the calls that blocks refused,
  as a share of what the attacks would have cost; **kept, if acted on**: the money of all calls after the first alert.
- **honest subjects accused**: accounts and others named by an alert without an attack, per 100,000 calls. **honest calls refused**: per million.
  In brackets: the 95 % upper bound (Clopper-Pearson).
- Blocks are applied with their own keys to the calls that follow, one second after the record that led to them; a refused call writes no record.
- An opponent that looks at an account blocks its calls to one country for an hour; its threshold is the lowest that accuses at most one honest
  account in 100,000 calls of another seed. OpenSIPS' counters run with the rules and resets of its source, once with its tutorial's thresholds and
  once scaled likewise.
- Attacks are much more frequent here than in life if a simulation is small: 20 attacks in 100,000 calls. Shares of episodes and of money do not
  depend on that; precision would.

"""


def page(results: Sequence[Result], real: Real | None, date: str) -> str:
    """The whole page."""
    text = HEAD + f"Written on {date}.\n"
    ordered = sorted(results, key=lambda one: (one.simulator, one.calls, one.seed))
    for (simulator, calls), group in groupby(ordered, key=lambda one: (one.simulator, one.calls)):
        text += "\n" + section(simulator, calls, list(group))
    return text + "\n" + real_users(real)


def section(simulator: str, calls: int, results: list[Result]) -> str:
    """One simulator at one size."""
    seeds = sorted({one.seed for one in results})
    days, honest = results[0].days, sum(one.honest_calls for one in results if one.name == results[0].name)
    title = "The simulator" if simulator == "simulator" else "The validation simulator"
    dates = sorted({one.date for one in results})
    text = f"## {title}, {calls:,} calls\n\nSeeds {_range(seeds)}, {days:g} days each, {honest:,} honest calls in all; "
    text += f"run on {', '.join(dates)}.{''.join(f' {note}' for note in dict.fromkeys(one.note for one in results if one.note))}\n\n"
    names = list(dict.fromkeys(one.name for one in results))
    text += heading(
        "", "episodes found", "kept, bursts", "kept, slow", "kept, if acted on", "median delay", "honest subjects accused per 100,000",
        "honest calls refused per million",
    )  # fmt: skip
    for name in names:
        text += row(name, [one for one in results if one.name == name])
    for name in [one for one in names if one.startswith("Ringfence")]:
        text += f"\n### {name}: by family\n\n" + families([one for one in results if one.name == name])
    text += "\n### Goals\n\n" + goals([one for one in results if one.name == "Ringfence"])
    return text


def heading(first: str, *others: str) -> str:
    """The head of a table; all columns but the first are numbers."""
    return f"| {' | '.join((first, *others))} |\n| --- |{' ---: |' * len(others)}\n"


def row(name: str, mine: list[Result]) -> str:
    """A line of the league table."""
    episodes = [episode for one in mine for episode in one.episodes]
    delays = [one.delay_s for one in episodes if one.delay_s is not None]
    honest = sum(one.honest_calls for one in mine)
    accused, refused = sum(len(one.false_subjects) for one in mine), sum(one.honest_refused for one in mine)
    cells = (
        f"{len(delays)} of {len(episodes)}", _kept([one for one in episodes if not one.slow]), _kept([one for one in episodes if one.slow]),
        _share(episodes, lambda one: one.after_alert_nanos), _time(percentile(list(delays), 0.5)),
        f"{accused / honest * 1e5:.2f} ({upper_bound(accused, honest) * 1e5:.2f})",
        f"{refused / honest * 1e6:.1f} ({upper_bound(refused, honest) * 1e6:.1f})",
    )  # fmt: skip
    return f"| {name} | {' | '.join(cells)} |\n"


def families(mine: list[Result]) -> str:
    """What was found of each family."""
    text = heading("family", "found", "loud", "careful", "stealthy", "median delay", "loss, EUR", "kept", "kept, if acted on")
    episodes = sorted((episode for one in mine for episode in one.episodes), key=lambda one: one.family)
    for family, group in groupby(episodes, key=lambda one: one.family):
        those = list(group)
        delays = [one.delay_s for one in those if one.delay_s is not None]
        by_stealth = [_of([one for one in those if one.stealth == stealth]) for stealth in range(3)]
        loss = sum(one.loss_nanos for one in those) / 1e9
        text += (
            f"| {family} | {_of(those)} | {' | '.join(by_stealth)} | {_time(percentile(list(delays), 0.5))} | {loss:,.0f} | {_kept(those)} "
            f"| {_share(those, lambda one: one.after_alert_nanos)} |\n"
        )
    return text


def goals(mine: list[Result]) -> str:
    """The stated goals, met or not."""
    episodes = [episode for one in mine for episode in one.episodes]
    bursts = [one for one in episodes if one.family in ("irsf_burst", "irsf_burst_mobile")]
    late = [one.exposed_delay_s for one in bursts if one.exposed_delay_s is not None]
    honest = sum(one.honest_calls for one in mine)
    accused = upper_bound(sum(len(one.false_subjects) for one in mine), honest) * 1e5
    refused = upper_bound(sum(one.honest_refused for one in mine), honest) * 1e6
    sims, within, others = (sum(one.sims[at] for one in mine) for at in range(3))
    precision = within / (within + others) if within + others else 0.0
    back = [count for one in mine for count in one.calls_back]
    calls = [float(one.exposed_calls) for one in bursts if one.delay_s is not None]
    missed = sum(one.delay_s is None for one in bursts)
    calls_p95, late_p95 = percentile(calls, 0.95), percentile(late, 0.95)
    kept_bursts, kept_slow = (_part([one for one in episodes if one.slow is slow]) for slow in (False, True))
    some = f" of those found; {missed} of {len(bursts)} were not" if missed else ""
    box = f"{within} of {sims} (at least {lower_bound(within, max(sims, 1)):.0%}), precision {precision:.0%}"
    rows = [
        ("bursts: answered calls after 10 units of exposure, p95", "at most 5", f"{calls_p95:.0f}{some}", not missed and calls_p95 <= 5),
        ("bursts: time after 10 units of exposure, p95", "at most 60 s", f"{_time(late_p95)}{some}", not missed and late_p95 <= 60),
        ("money kept of bursts", "at least 97 %", f"{kept_bursts:.1%}", kept_bursts >= 0.97),
        ("money kept of slow attacks", "at least 70 %", f"{kept_slow:.1%}", kept_slow >= 0.7),
        ("SIM cards of boxes alerted within 60 minutes", "at least 90 %, precision 95 %", box, within >= 0.9 * sims and precision >= 0.95),
        ("wangiri: answered calls back before one is refused, most", "at most 5", f"{max(back, default=0)}", max(back, default=9) <= 5),
        ("honest subjects accused per 100,000 calls, upper bound", "at most 1", f"{accused:.2f}", accused <= 1),
        ("honest calls refused per million, upper bound", "at most 1", f"{refused:.1f}", refused <= 1),
    ]
    text = "| goal | wanted | measured | met |\n| --- | --- | --- | --- |\n"
    text += "".join(f"| {what} | {wanted} | {measured} | {'yes' if met else '**no**'} |\n" for what, wanted, measured, met in rows)
    if honest < 3_000_000:
        text += (
            f"\nWith {honest:,} honest calls no upper bound can be below {upper_bound(0, max(honest, 1)) * 1e6:.1f} refused per million, or "
            f"{upper_bound(0, max(honest, 1)) * 1e5:.2f} accused per 100,000.\n"
        )
    return text


def real_users(real: Real | None) -> str:
    """The section on real users."""
    text = "## Real users\n\n"
    if real is None:
        return text + "Not measured: the data (Sichuan 2020) was not there.\n"
    rows = [
        ("AUC with labels", "0.9565", real.auc[0] + real.auc[1] >= 0.9565, f"{real.auc[0]:.4f} ± {real.auc[1]:.4f}"),
        ("recall at 99 % precision", "0.755", real.recall[0] + real.recall[1] >= 0.755, f"{real.recall[0]:.3f} ± {real.recall[1]:.3f}"),
        ("AUC without labels", "0.88", real.without_labels >= 0.88, f"{real.without_labels:.4f}"),
        ("calibration error", "-", True, f"{real.calibration[0]:.3f} ± {real.calibration[1]:.3f}"),
    ]
    text += (
        f"{real.users:,} users of an operator in Sichuan (2020), 32 % of them labelled as fraud; nested cross-validation, 5 folds, {real.seeds} "
        "seeds, gradient boosting with calibrated probabilities; mean ± standard error over seeds. Without labels: the mean rank of three "
        "directions of use.\n\n"
        "| | wanted | measured | met within one standard error |\n| --- | --- | --- | --- |\n"
    )
    return text + "".join(f"| {what} | {wanted} | {measured} | {'yes' if met else '**no**'} |\n" for what, wanted, met, measured in rows)


def _part(episodes: list[Episode]) -> float:
    loss = sum(one.loss_nanos for one in episodes)
    return sum(one.kept_nanos for one in episodes) / loss if loss else 0.0


def _kept(episodes: list[Episode]) -> str:
    return _share(episodes, lambda one: one.kept_nanos)


def _share(episodes: list[Episode], money: Callable[[Episode], int]) -> str:
    loss = sum(one.loss_nanos for one in episodes)
    return f"{sum(map(money, episodes)) / loss:.1%}" if loss else "-"


def _of(episodes: list[Episode]) -> str:
    return f"{sum(one.delay_s is not None for one in episodes)} of {len(episodes)}" if episodes else "-"


def _time(seconds: float) -> str:
    """A time for a reader.

    >>> _time(42.0), _time(600.0), _time(7200.0), _time(float("nan"))
    ('42 s', '10 min', '2.0 h', '-')
    """
    if seconds != seconds:
        return "-"
    return f"{seconds:.0f} s" if abs(seconds) < 120 else f"{seconds / 60:.0f} min" if abs(seconds) < 7200 else f"{seconds / 3600:.1f} h"


def _range(seeds: list[int]) -> str:
    """Seeds for a reader.

    >>> _range([1, 2, 3]), _range([4])
    ('1 to 3', '4')
    """
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 and seeds == list(range(seeds[0], seeds[-1] + 1)) else ", ".join(map(str, seeds))
