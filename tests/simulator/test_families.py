"""Each family and look-alike makes the calls that its sources describe, labelled, and the same ones for the same seed."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from core.money import to_decimal
from rating.deck import Call
from rating.price import price_one
from simulator.decks import deck
from simulator.episodes import QUIET_SHARE, Traffic, traffic
from simulator.plan import all_families, all_look_alikes
from simulator.prices import DEFAULT_SELL

FAMILIES = [one.name for one in all_families()]
LOOK_ALIKES = [one.name for one in all_look_alikes()]


@pytest.fixture(scope="module")
def town() -> Traffic:
    return traffic(3, 20_000)


def calls_of(town: Traffic, family: str) -> pl.DataFrame:
    return town.frame.filter(pl.col("episode").str.starts_with(f"{family}-"))


def share(frame: pl.DataFrame, what: pl.Expr) -> float:
    return float(frame.select(what.mean()).item())


def test_the_same_seed_gives_the_same_calls_and_another_seed_others(town: Traffic) -> None:
    assert traffic(3, 20_000).frame.equals(town.frame)
    assert not traffic(4, 20_000).frame["b_number"].equals(town.frame["b_number"])


def test_every_family_and_look_alike_is_there_and_labelled(town: Traffic) -> None:
    assert sorted(one.family for one in town.episodes) == FAMILIES
    assert {one.kind for one in town.look_alikes} == set(LOOK_ALIKES)
    labelled = set(town.frame["episode"].unique()) - {""}
    assert labelled == {one.id for one in town.episodes}
    assert {one.stealth for one in town.episodes} == {0, 1, 2}
    for one in town.episodes:
        mine = town.frame.filter(pl.col("episode") == one.id)
        assert one.calls == mine.height >= 8
        assert one.loss == to_decimal(int(mine["loss_nanos"].sum()))
        assert (one.loss == 0) == (one.family == "robocalls"), one
        assert mine["look_alike"].unique().to_list() == [""]


def test_as_many_look_alikes_as_ordinary_business_accounts() -> None:
    found = traffic(1, 60_000, families=("irsf_burst",))
    busy = [one for one in found.config.accounts if one.sell_deck != DEFAULT_SELL]
    assert len(found.look_alikes) >= min(len(busy) // 2, 60_000 // 1800)
    assert found.frame.filter(pl.col("look_alike") != "").height < 0.35 * found.frame.height


def test_no_attack_before_there_is_a_past(town: Traffic) -> None:
    first_ms = town.start_ms + QUIET_SHARE * (town.end_ms - town.start_ms)
    nights = {one.name for one in all_families() if one.night}  # moved to the evening before
    assert [one.id for one in town.episodes if one.start_ms < first_ms and one.family not in nights] == []


def test_honest_calls_are_as_many_as_asked_for(town: Traffic) -> None:
    everyday = town.frame.filter(pl.col("episode") == "", pl.col("look_alike") == "").height
    assert 0.93 * 20_000 < everyday <= 20_000


def test_a_new_customer_has_never_called_before(town: Traffic) -> None:
    new = town.frame.filter(pl.col("look_alike").str.starts_with("new_customer"))["account"].unique().implode()
    assert town.frame.filter(pl.col("account").is_in(new), pl.col("look_alike") == "", pl.col("episode") == "").height == 0


@pytest.mark.parametrize("family", [one.name for one in all_families() if one.fresh])
def test_a_fresh_account_has_never_called_before(town: Traffic, family: str) -> None:
    accounts = calls_of(town, family)["account"].unique().implode()
    assert town.frame.filter(pl.col("account").is_in(accounts), pl.col("episode") == "", pl.col("look_alike") == "").height == 0


def test_calls_cost_what_the_decks_say(town: Traffic) -> None:
    sold = {one.name: one.sell_deck for one in town.config.accounts}
    for row in town.frame.filter(pl.col("talk_ms").is_not_null())[::400].iter_rows(named=True):
        answer_ms = row["setup_ms"] + row["pdd_ms"] + row["ring_ms"]
        price = price_one(deck(sold.get(row["account"], DEFAULT_SELL)), Call(row["b_number"]), answer_ms, row["talk_ms"], True)
        assert row["sell_nanos"] == price.nanos
        own = row["sell_nanos"] if row["loss_eur"] is None else round(row["loss_eur"] * 1e9)
        assert row["loss_nanos"] == (own if row["episode"] else 0)


def test_only_the_mobile_operator_reports_sim_cards_devices_and_cells(town: Traffic) -> None:
    mobile = town.frame.filter(pl.col("tenant") == "mobile")
    assert share(mobile, pl.all_horizontal(pl.col("imsi", "imei", "cell") != "")) == 1
    assert mobile["imei"].str.len_chars().unique().to_list() == [15]
    assert share(town.frame.filter(pl.col("tenant") != "mobile"), pl.any_horizontal(pl.col("imsi", "imei", "cell") != "")) == 0


def test_numbers_are_numbers(town: Traffic) -> None:
    assert share(town.frame, pl.col("b_number").str.contains(r"^[1-9]\d{5,14}$")) == 1
    honest = town.frame.filter(pl.col("episode") == "")
    odd = ~pl.col("a_number").str.contains(r"^[1-9]\d{7,14}$")
    assert 0 < share(honest, odd) < 0.05


def test_days_and_weeks_have_their_shape() -> None:
    frame = traffic(2, 30_000, days=7, families=("irsf_burst",)).frame
    found = frame.filter(pl.col("look_alike") == "", pl.col("account").str.starts_with("r"))
    at = found.select(pl.from_epoch("setup_ms", "ms").alias("at")).to_series()
    by_hour, by_day = at.dt.hour().value_counts(), dict(at.dt.weekday().value_counts().iter_rows())
    hours = dict(by_hour.iter_rows())
    assert hours[9] > 8 * hours[2]
    assert by_day[2] > 1.5 * by_day[7]


EXPECTED = {
    "irsf_burst": (pl.col("b_number").n_unique() < 40, pl.col("talk_ms").is_not_null().mean() > 0.6),
    "irsf_burst_mobile": (pl.col("b_number").n_unique() < 40,),
    "irsf_short": (pl.col("talk_ms").max() < 20_001,),
    "irsf_slow": (pl.col("b_number").n_unique() > 0.5 * pl.len(),),
    "irsf_block": (pl.col("b_number").n_unique() > 0.9 * pl.len(), pl.col("b_number").str.slice(0, 5).n_unique() == 1),
    "pbx_hacking": (pl.col("b_number").str.slice(0, 3).n_unique() >= 3,),
    "credit_burst": (pl.col("account").n_unique() == 1, pl.col("imsi").n_unique() == 1),
    "sim_box": (pl.col("cell").n_unique() <= 2, pl.col("b_number").n_unique() > 300),
    "sim_box_cover": (pl.col("cell").n_unique() > 2, pl.col("imei").n_unique() == pl.col("imsi").n_unique()),
    "robocalls": (pl.col("a_number").n_unique() > pl.len() / 13, pl.col("talk_ms").median() < 15_000),
    "flash_calls": (pl.col("talk_ms").is_null().all(), pl.col("ring_ms").max() < 1501),
    "fas_early": (pl.col("carrier").n_unique() == 1,),
    "fas_late": (pl.col("carrier").n_unique() == 1,),
    "fas_recorded": (pl.col("carrier").n_unique() == 1,),
    "refiling": (pl.col("a_number").n_unique() <= 300,),
    "call_looping": (pl.struct("a_number", "b_number").n_unique() < pl.len() / 1.9,),
    "traffic_pumping": (pl.col("b_number").n_unique() <= 30, pl.col("talk_ms").median() > 600_000),
    "cli_spoofing": (pl.col("a_number").str.starts_with("43").mean() > 0.9,),
}


@pytest.mark.parametrize("family", EXPECTED)
def test_a_family_does_what_its_sources_describe(town: Traffic, family: str) -> None:
    mine = calls_of(town, family)
    for what in EXPECTED[family]:
        assert mine.select(what).item(), (family, str(what))


def test_wangiri_rings_and_is_called_back(town: Traffic) -> None:
    mine = calls_of(town, "wangiri")
    rings, back = mine.filter(pl.col("account").str.starts_with("w")), mine.filter(~pl.col("account").str.starts_with("w"))
    assert rings["talk_ms"].null_count() == rings.height
    assert rings["ring_ms"].max() < 2200  # type: ignore[operator]
    rung = rings.group_by(b_number="a_number", a_number="b_number").agg(rung_ms=pl.col("setup_ms").min())
    first = back.join(rung, on=["a_number", "b_number"])
    assert back.height > 5
    assert set(first["call_id"]) == set(back["call_id"])
    assert share(first, pl.col("setup_ms") > pl.col("rung_ms")) == 1


def test_test_calls_come_before_the_burst_into_the_ranges_that_answered(town: Traffic) -> None:
    mine = calls_of(town, "irsf_test_calls")
    tests = mine.filter(pl.col("talk_ms") < 12_001, pl.col("setup_ms") < mine["setup_ms"].median())
    burst = mine.filter(pl.col("talk_ms") > 12_001)
    assert tests.height >= 1
    assert tests["setup_ms"].min() < burst["setup_ms"].min() - 600_000  # type: ignore[operator]


def test_false_answers_cost_their_false_seconds() -> None:
    for kind in ("early", "late", "recorded"):
        found = traffic(5, 3000, families=(f"fas_{kind}",))
        mine = found.frame.filter(pl.col("episode") != "")
        assert 0 < mine["loss_nanos"].sum() < mine["sell_nanos"].sum(), kind


def test_an_unknown_family_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(ValueError, match="no family 'irsf'; there are call_looping, "):
        traffic(1, 1000, families=("irsf",))


def test_a_budget_ends_an_attack(town: Traffic) -> None:
    for one in town.episodes:
        if one.family.startswith("irsf"):
            assert one.loss < Decimal(60_000), one
