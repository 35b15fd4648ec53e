"""What a verdict was worth: episodes found and how late, money kept, honest subjects accused and honest calls refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from evaluation.verdict import Alert, Verdict
from simulator.episodes import Traffic
from simulator.truth import Episode

AFTER_MS = 15 * 60_000
"""An alert may come so long after the last call of its episode: a stop is reported when its call ends."""
EXPOSED_NANOS = 10 * 10**9
"""The exposure from which a burst's delay is counted: 10 units."""


@dataclass(frozen=True)
class EpisodeScore:
    """One episode. Times in seconds; nan = not found. Money in nanos of EUR."""

    episode: Episode
    delay_s: float  # from its first call to the first alert inside it
    exposed_delay_s: float  # from when its exposure passed 10 units; negative = before that
    exposed_calls: int  # answered between the two
    loss_nanos: int
    kept_nanos: int  # of calls that were refused
    after_alert_nanos: int  # of calls that were set up after the first alert: what an order at once would have kept

    @property
    def is_found(self) -> bool:
        return not np.isnan(self.delay_s)


@dataclass(frozen=True)
class Score:
    """A verdict on one traffic."""

    name: str
    days: float
    honest_calls: int
    honest_refused: int
    found: list[EpisodeScore]
    false_alerts: int
    false_subjects: Counter[str]  # honest subjects accused -> alerts
    by_detector: Counter[tuple[str, bool]] = field(default_factory=Counter)  # (detector, right) -> alerts
    calls_back: list[int] = field(default_factory=list)  # answered calls back of each wangiri before the first refusal
    sims: tuple[int, int, int] = (0, 0, 0)  # SIM cards of boxes, of them alerted within an hour, alerts on others that name a SIM box


def score(traffic: Traffic, verdict: Verdict) -> Score:
    """Judge a verdict against the truth."""
    frame = traffic.frame
    label = dict(frame.filter(pl.col("episode") != "").select("call_id", "episode").iter_rows())
    first: dict[str, int] = {}
    false: Counter[str] = Counter()
    by_detector: Counter[tuple[str, bool]] = Counter()
    for alert in sorted(verdict.alerts, key=lambda one: one.at_ms):
        episode = episode_of(alert, traffic.episodes, label)
        by_detector[alert.detector, bool(episode)] += 1
        if not episode:
            false[f"{alert.tenant}/{alert.subject}"] += 1
        elif episode not in first:
            first[episode] = alert.at_ms
    honest = (frame["episode"] == "").to_numpy()
    frame = frame.with_columns(refused=pl.Series(verdict.refused))
    by_episode = {key[0]: part for key, part in frame.filter(pl.col("episode") != "").partition_by("episode", as_dict=True).items()}
    found = [_found(one, by_episode[one.id], first.get(one.id)) for one in traffic.episodes]
    return Score(
        verdict.name, (traffic.end_ms - traffic.start_ms) / 86_400_000, int(honest.sum()), int((honest & verdict.refused).sum()), found,
        sum(false.values()), false, by_detector, _calls_back(traffic.episodes, by_episode), _sims(traffic, verdict),
    )  # fmt: skip


def episode_of(alert: Alert, episodes: list[Episode], label: dict[str, str]) -> str:
    """The episode that an alert is about: that of half of the calls that it shows, or the one that its account or carrier is in; "" = none."""
    shown = Counter(label[call] for call in alert.calls if call in label)
    if shown:
        name, many = shown.most_common(1)[0]
        if 2 * many >= len(alert.calls):
            return name
    for one in episodes:
        if not one.start_ms <= alert.at_ms <= one.end_ms + AFTER_MS or one.tenant != alert.tenant:
            continue
        if alert.account and alert.account == one.account and not one.carriers:
            return one.id
        if alert.carrier and alert.carrier in one.carriers:
            return one.id
    return ""


def _found(episode: Episode, calls: pl.DataFrame, first_ms: int | None) -> EpisodeScore:
    loss = int(calls["loss_nanos"].sum())
    kept = int(calls.filter("refused")["loss_nanos"].sum())
    if first_ms is None:
        return EpisodeScore(episode, float("nan"), float("nan"), 0, loss, kept, 0)
    exposed_ms = exposed_at_ms(calls)
    answer_ms = (calls["setup_ms"] + calls["pdd_ms"] + calls["ring_ms"]).to_numpy()
    talks = calls["talk_ms"].is_not_null().to_numpy() & ~calls["refused"].to_numpy()
    between = int((talks & (answer_ms > exposed_ms) & (answer_ms <= first_ms)).sum()) if exposed_ms is not None else 0
    later = int(calls.filter(pl.col("setup_ms") > first_ms)["loss_nanos"].sum())
    exposed_s = (first_ms - exposed_ms) / 1000 if exposed_ms is not None else float("nan")
    return EpisodeScore(episode, (first_ms - episode.start_ms) / 1000, exposed_s, between, loss, kept, later)


def exposed_at_ms(calls: pl.DataFrame) -> int | None:
    """When the money of an episode, growing with each answered second, passes 10 units; None = never."""
    rows = calls.filter(pl.col("loss_nanos") > 0)
    if rows["loss_nanos"].sum() <= EXPOSED_NANOS:
        return None
    begin = (rows["setup_ms"] + rows["pdd_ms"] + rows["ring_ms"]).to_numpy()
    end = begin + np.maximum(rows["talk_ms"].fill_null(0).to_numpy(), 1)
    rate = rows["loss_nanos"].to_numpy() / (end - begin)
    times = np.concatenate([begin, end])
    order = np.argsort(times, kind="stable")
    slope = np.cumsum(np.concatenate([rate, -rate])[order])[:-1]
    at = times[order]
    money = np.concatenate([[0.0], np.cumsum(slope * np.diff(at))])
    place = int(np.searchsorted(money, EXPOSED_NANOS))
    if place >= len(at):
        return int(at[-1])
    return int(at[place - 1] + (EXPOSED_NANOS - money[place - 1]) / max(slope[place - 1], 1e-9))


def _calls_back(episodes: list[Episode], by_episode: dict[str, pl.DataFrame]) -> list[int]:
    """Of each wangiri: the calls back that were answered before one was refused (all of them, if none was)."""
    found = []
    for one in episodes:
        if one.family == "wangiri":
            back = by_episode[one.id].filter(pl.col("account") != one.account).sort("setup_ms")
            refused = back.filter("refused")["setup_ms"].min()
            before = back if refused is None else back.filter(pl.col("setup_ms") < refused)
            found.append(before.filter(pl.col("talk_ms").is_not_null()).height)
    return found


def _sims(traffic: Traffic, verdict: Verdict) -> tuple[int, int, int]:
    boxes = traffic.frame.filter(pl.col("episode").str.starts_with("sim_box"))
    begin = dict(boxes.group_by("account").agg(pl.col("setup_ms").min()).iter_rows())
    alerted = {("mobile", one.account): one.at_ms for one in sorted(verdict.alerts, key=lambda alert: -alert.at_ms) if one.tenant == "mobile"}
    for card, at_ms in verdict.cards.items():
        alerted[card] = min(at_ms, alerted.get(card, at_ms))
    within = sum(alerted.get(("mobile", account), 2**62) <= at_ms + 3_600_000 for account, at_ms in begin.items())
    named = {account for _, account in verdict.cards} | {one.account for one in verdict.alerts if one.detector.startswith("sim_box")}
    return len(begin), within, len(named - begin.keys() - {""})
