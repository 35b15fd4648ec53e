"""What stored calls would have cost: their facts in, the rows of `core.schemas.CHARGES` of a rating run out. In columns, no call by itself.

`Rerater(terms)` holds what a version says in columns; calling it with the calls of one tenant and their attempts prices them. Under the terms that
priced them live it gives the charges that stand, row for row: a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from core import schemas
from core.numbers import E164_KINDS
from core.schemas import CHARGES
from rating.charge import BUY, NOT_ROUNDED, SELL, UNREADABLE, Purchase, charged, feed_amount, one_of
from rating.contracts import NO_DECK, PLANNED, UNKNOWN, Charged, Terms
from rating.deck import Calls
from rating.prefixes import Ints
from rating.price import OUT_OF_RANGE, REJECTED, Priced, Segment, price_by

Bools = npt.NDArray[np.bool_]

AMOUNTS = pl.Schema(
    {
        "record_partition": pl.Int32,  # with record_offset: of the record that says them
        "record_offset": pl.Int64,
        "sell_amount": pl.String,
        "buy_amount": pl.String,
        "currency": pl.String,
        "buy_currency": pl.String,
        "duration_ms": pl.Int64,  # as the record says it
    }
)
"""What a feed says that a call cost. It stands where no deck of ours prices the party."""

UNPRICED = pl.Schema(
    [(name, CHARGES[name]) for name in ("partition", "offset", "revision", "tenant", "account", "carrier")]
    + [("b_number", pl.String()), ("reason", pl.String())]
)
"""A call whose money these terms cannot tell, and why."""

FACTS = (
    "tenant", "partition", "offset", "revision", "record_partition", "record_offset", "learned_ms", "call_key", "account", "ingress_trunk",
    "carrier", "trunk_group", "egress_trunk", "a_number", "a_kind", "b_number", "b_kind", "lrn", "setup_ms", "answer_ms", "end_ms", "duration_ms",
    "attempts", "failed", "failed_no", "legs",
)  # fmt: skip
"""The columns of `core.schemas.CALLS` that are read."""

OF_ATTEMPT = (
    "partition", "offset", "revision", "call_key", "attempt_no", "carrier", "trunk_group", "egress_trunk", "a_number", "a_kind", "b_number", "b_kind",
    "lrn", "setup_ms", "at_ms", "answered", "duration_ms",
)  # fmt: skip
"""The columns of `core.schemas.ATTEMPTS` that are read, of calls with `failed` attempts or `legs` alone: the others say all in their own row."""

_WHERE = (
    "partition", "offset", "revision", "record_partition", "record_offset", "learned_ms", "tenant", "call_key", "account", "end_ms", "setup_ms",
    "answer_ms",
)  # fmt: skip
_ROUTE = ("carrier", "trunk_group", "egress_trunk")
_OF_CALLER = ("a_number", "a_kind", "lrn", "setup_ms")
_OF_SEGMENT = (
    "segment", "start_ms", "prefix", "destination", "charged_s", "per_min_nanos", "usage_nanos", "connect_nanos", "surcharge_nanos", "attempt_nanos",
)  # fmt: skip
MEND = "add it and publish a new config version"


class Rerated(NamedTuple):
    """`charges`: core.schemas.CHARGES, all of each call that was priced. `unpriced`: a row of `UNPRICED` for each of the others."""

    charges: pl.DataFrame
    unpriced: pl.DataFrame


class _Sides(NamedTuple):
    """What is priced at one level, a place per call or attempt."""

    places: Ints  # in `Terms.offers`
    priced: Priced
    segments: Mapping[int, tuple[Segment, ...]]  # of those within which the price changed
    amount: Ints  # of the feed; it counts where `fed`
    fed: Bools
    fed_currency: pl.Series
    wrong: Mapping[int, str]  # place -> what is wrong with the feed's amount


class _Level(NamedTuple):
    """Who pays at one level, per account, which of the calls have it, and what it comes to."""

    by: list[Charged]
    has: Bools
    sides: _Sides


class Rerater:
    """Prices stored calls by one version's terms, under the number of a rating run.

    >>> from core.config import Config
    >>> from rating.contracts import compile_contracts
    >>> Rerater(compile_contracts(Config(), {}), run=7)(schemas.empty(schemas.CALLS), schemas.empty(schemas.ATTEMPTS)).charges.shape[0]
    0
    """

    def __init__(self, terms: Terms, run: int) -> None:
        self.terms, self.run = terms, run
        decks = terms.decks
        sizes = [len(deck.prefixes) for deck in decks]
        self._first = np.cumsum([0, *sizes])[:-1].astype(np.int64)  # where a deck's rates begin in the lists of all
        self._prefixes = pl.Series([prefix for deck in decks for prefix in deck.prefixes], dtype=pl.String)
        self._destinations = pl.Series([name for deck in decks for name in deck.destinations], dtype=pl.String)
        self._place_of = {id(deck.prefixes): place for place, deck in enumerate(decks)}  # a mark-up shares them
        self._of_offers = self._offers()

    def __call__(self, calls: pl.DataFrame, attempts: pl.DataFrame, amounts: pl.DataFrame | None = None) -> Rerated:
        """`calls`: `FACTS`, each call once, at the revision that counts. `attempts`: `OF_ATTEMPT` of those calls that have `failed` attempts
        or `legs` (others, and repeats, are left aside). `amounts`: `AMOUNTS` of their records; None = the feed says none."""
        facts = calls.select(FACTS)
        tenants = facts["tenant"].unique(maintain_order=True).to_list()
        parts = [facts] if len(tenants) == 1 else [facts.filter(tenant=tenant) for tenant in tenants]
        found = [self._tenant(one, attempts, amounts) for one in parts]
        if not found:
            return Rerated(schemas.empty(CHARGES), schemas.empty(UNPRICED))
        return Rerated(pl.concat([one.charges for one in found]), pl.concat([one.unpriced for one in found]))

    def _offers(self) -> _Offers:
        """The offers that the terms have made by now."""
        offers = list(self.terms.offers)

        def texts(values: list[str], none: str) -> pl.Series:
            return pl.Series([*values, none], dtype=pl.String)  # -1, no deck, is the last

        return _Offers(
            len(offers), self._first[[self._place_of[id(offer.deck.prefixes)] for offer in offers]] if offers else np.empty(0, np.int64),
            texts([offer.deck.name for offer in offers], ""), texts([offer.deck.deck_id for offer in offers], ""),
            texts([offer.currency for offer in offers], ""), texts([offer.rules.fx_source for offer in offers], ""),
            texts([offer.rules.rounding for offer in offers], NOT_ROUNDED), texts([offer.rules.tax for offer in offers], ""),
        )  # fmt: skip

    def needs_amounts(self, calls: pl.DataFrame) -> bool:
        """Whether any of these calls is sold, or carried, by somebody for whom these terms have no deck: then the feed's amounts stand."""
        accounts, carriers = (calls.select("tenant", name).unique().rows() for name in ("account", "carrier"))
        return any(_deckless(self.terms.sold(*key)[0]) for key in accounts) or any(_deckless(self.terms.bought(*key)) for key in carriers if key[1])

    def _tenant(self, calls: pl.DataFrame, attempts: pl.DataFrame, amounts: pl.DataFrame | None) -> Rerated:
        terms, tenant = self.terms, str(calls["tenant"][0])
        n = calls.height
        answered = calls["answer_ms"].is_not_null().to_numpy()
        at_ms = calls["answer_ms"].fill_null(calls["end_ms"]).fill_null(0).to_numpy()
        duration_ms = calls["duration_ms"].fill_null(0).to_numpy()
        numbers = Calls(_numbers(calls, "b_number"), _numbers(calls, "a_number"), calls["lrn"].to_list())
        moments = _Moments(at_ms, calls["setup_ms"].fill_null(pl.Series(at_ms)).to_numpy(), at_ms + duration_ms)
        accounts, of_account = _codes(calls["account"])
        chains = [terms.sold(tenant, account) for account in accounts]

        def priced(by: Sequence[Charged], here: Bools | None = None) -> tuple[Ints, Priced, dict[int, tuple[Segment, ...]]]:
            when = moments.of(by, of_account)
            places = _places(by, of_account, when)
            asked = places if here is None else np.where(here, places, NO_DECK)
            return places, *price_by(terms.offers, asked, numbers, when, duration_ms, answered)

        sale = self._fed(*priced([chain[0] for chain in chains]), calls.select("record_partition", "record_offset"), amounts, SELL)
        bought = self._purchases(calls, attempts, amounts, answered, duration_ms, moments, numbers)
        was_sent = (calls["carrier"] != "").to_numpy() | (calls["legs"] > 0).to_numpy()  # only then is an attempt paid for
        levels = [_Level([chain[0] for chain in chains], np.ones(n, bool), sale)]
        for level in range(1, max(len(chain) for chain in chains)):
            has = np.fromiter((len(chain) > level for chain in chains), bool, len(chains))[of_account]
            by = [chain[level] if len(chain) > level else chain[0] for chain in chains]
            levels.append(_Level(by, has, self._fed(*priced(by, has), calls, None, SELL)))
        reasons = self._faults(calls, tenant, levels, of_account, bought, answered)
        good = np.fromiter((row not in reasons for row in range(n)), bool, n) if reasons else np.ones(n, bool)

        frames = []
        for level, (by, has, of_level) in enumerate(levels):
            here = np.flatnonzero(has & good)
            sides = _taken(of_level, here)
            head = _at(calls.select(*_WHERE, *_ROUTE), here)
            start_ms = pl.Series(at_ms[here]).set(pl.Series(~answered[here]), None)
            seconds = self._fed_seconds(head, amounts) if sides.fed.any() else None
            zero = np.zeros(len(here), np.int64)
            frames.append(self._rows(head, SELL, level, by, of_account[here], sides, start_ms, zero, was_sent[here], seconds))
        frames.append(self._bought_rows(calls, bought, good))
        unpriced = calls[list(reasons)].select(name for name in UNPRICED if name != "reason")
        return Rerated(
            pl.concat(frames).select(CHARGES.names()),
            unpriced.with_columns(reason=pl.Series(list(reasons.values()), dtype=pl.String)).select(UNPRICED.names()),
        )

    # --- purchases ---------------------------------------------------------------------------------------------------------------

    def _purchases(
        self, calls: pl.DataFrame, attempts: pl.DataFrame, amounts: pl.DataFrame | None, answered: Bools, duration_ms: Ints, moments: _Moments,
        numbers: Calls,
    ) -> _Purchases:  # fmt: skip
        """Each attempt and egress leg that is bought: those that have records of their own, and a proxy's last attempt, which ended with its call."""
        tenant = str(calls["tenant"][0])
        failed = calls.select(pl.max_horizontal("failed", "failed_no")).to_series().to_numpy()
        own = (calls["legs"].to_numpy() == 0) & (answered | (failed < calls["attempts"].to_numpy()))
        at = calls.select("record_partition", "record_offset")
        carried, says_amount = calls["carrier"].to_numpy() != "", np.zeros(calls.height, bool)
        if amounts is not None:
            says = at.join(amounts.filter(pl.col("buy_amount") != ""), on=at.columns, how="left", maintain_order="left")
            says_amount = says["buy_amount"].is_not_null().to_numpy()
            carried |= says_amount
        rows = np.flatnonzero(own & carried)
        wanted = ("attempts", "failed", "failed_no", *_ROUTE, "b_number", "b_kind", *_OF_CALLER, *at.columns)
        items = _at(calls.select(wanted), rows).select(
            pl.Series("row", rows),
            pl.max_horizontal("attempts", pl.max_horizontal("failed", "failed_no") + pl.Series(answered[rows]).cast(pl.Int32)).alias("attempt_no"),
            *_ROUTE, "b_number", "b_kind", *_OF_CALLER, *at.columns, pl.Series("at_ms", moments.answer_ms[rows]),
            pl.Series("answered", answered[rows]), pl.Series("duration_ms", duration_ms[rows]), pl.lit(False).alias("is_late"),
        )  # fmt: skip
        several = calls.with_row_index("row").filter((pl.col("failed") > 0) | (pl.col("legs") > 0))
        if several.height and attempts.height:
            of_call = several.select(
                pl.col("row").cast(pl.Int64), "call_key", "record_partition", "record_offset", "legs", call_revision="revision"
            )
            mine = attempts.select(OF_ATTEMPT).unique(["partition", "offset", "call_key", "revision"], maintain_order=True)
            mine = mine.join(of_call, on="call_key", how="inner", maintain_order="left").filter(pl.col("revision") <= pl.col("call_revision"))
            # A proxy's last attempt is said by its call: its rows, also those of a closing that a late stop has corrected, are not bought again.
            at_end = (pl.col("partition") == pl.col("record_partition")) & (pl.col("offset") == pl.col("record_offset"))
            mine = mine.filter((pl.col("legs") > 0) | ~(pl.col("answered") | at_end))
            mine = mine.with_columns(
                record_partition="partition", record_offset="offset", duration_ms=pl.col("duration_ms").fill_null(0),
                is_late=(pl.col("revision") > 0) & (pl.col("revision") < pl.col("call_revision")),
            )  # fmt: skip
            items = pl.concat([items, mine.select(items.columns).cast(items.schema)])
        carriers, of_carrier = _codes(items["carrier"])
        by = [self.terms.bought(tenant, carrier) for carrier in carriers]
        at_ms, talk_ms = items["at_ms"].to_numpy(), items["duration_ms"].to_numpy()
        when = _Moments(at_ms, items["setup_ms"].fill_null(items["at_ms"]).to_numpy(), at_ms + talk_ms).of(by, of_carrier)
        places = _places(by, of_carrier, when)
        of_items = numbers
        if items.height != calls.height or several.height:
            of_items = Calls(_numbers(items, "b_number"), _numbers(items, "a_number"), items["lrn"].to_list())
        sums = price_by(self.terms.offers, places, of_items, when, talk_ms, items["answered"].to_numpy())
        sides = self._fed(places, *sums, items.select("record_partition", "record_offset"), amounts, BUY)
        if amounts is not None and items.height > len(rows):  # a record of an attempt may say a sale as well, which must be right all the same
            accounts, of_account = _codes(calls["account"][items["row"]])
            sold = [self.terms.sold(tenant, account)[0] for account in accounts]
            sell_ms = _Moments(at_ms, items["setup_ms"].fill_null(items["at_ms"]).to_numpy(), at_ms + talk_ms).of(sold, of_account)
            said = self._fed(_places(sold, of_account, sell_ms), sums[0], {}, items.select(at.columns), amounts, SELL).wrong
            sides = sides._replace(wrong={item: text for item, text in said.items() if item >= len(rows)} | dict(sides.wrong))
        # A late leg that has no price takes nothing back: a later correction of its call is priced without it.
        talks = items["answered"].to_numpy() & (items["b_kind"] != "emergency").to_numpy()
        faulty = (places == UNKNOWN) | (talks & (places >= 0) & (sums[0].rate < 0))
        faulty[list(sides.wrong)] = True
        kept = np.flatnonzero(~(faulty & items["is_late"].to_numpy()))
        if len(kept) < items.height:
            wrong_of = {new: sides.wrong[was] for new, was in enumerate(kept.tolist()) if was in sides.wrong}
            items, of_carrier, sides = items[kept], of_carrier[kept], _taken(sides, kept)._replace(wrong=wrong_of)
        others = np.flatnonzero(says_amount & ~own)
        wrong = self._wrong_buys(calls[others], others, moments, items, amounts) if len(others) else {}
        return _Purchases(items, by, of_carrier, sides, wrong)

    def _wrong_buys(
        self, calls: pl.DataFrame, rows: Ints, moments: _Moments, items: pl.DataFrame, amounts: pl.DataFrame | None
    ) -> dict[int, str]:  # fmt: skip
        """What is wrong with amounts by which nothing is bought: other records than the call's last one say what was."""
        at = calls.select("record_partition", "record_offset")
        carrier = calls.select(pl.when(legs=0).then("carrier").otherwise(pl.lit(""))).to_series()
        names, of_name = _codes(carrier)
        by = [self.terms.bought(str(calls["tenant"][0]), name) for name in names]
        places = _places(by, of_name, _Moments(*(column[rows] for column in moments)).of(by, of_name))
        found = self._fed(places, Priced(*np.zeros((7, 0), np.int64)), {}, at, amounts, BUY).wrong
        bought_by = set(items.select(at.columns).rows()) if found else set()
        return {int(rows[place]): text for place, text in found.items() if at.row(place) not in bought_by}

    def _bought_rows(self, calls: pl.DataFrame, bought: _Purchases, good: Bools) -> pl.DataFrame:
        items, by, of_carrier, sides, _ = bought
        rows, talks = items["row"].to_numpy(), items["answered"].to_numpy()
        # An attempt that costs nothing is a row of `attempts` alone.
        here = np.flatnonzero(good[rows] & (talks | (np.where(sides.places >= 0, sides.priced.attempt_nanos, 0) != 0)))
        mine, sides = _at(items, here), _taken(sides, here)
        head = _at(calls.select(*_WHERE, *_ROUTE), rows[here]).with_columns(mine.select(_ROUTE))
        start_ms = mine["at_ms"].set(~mine["answered"], None)
        numbers = mine["attempt_no"].cast(pl.Int64).to_numpy()
        return self._rows(head, BUY, 0, by, of_carrier[here], sides, start_ms, numbers, np.ones(len(here), bool))

    # --- why a call's money cannot be told ------------------------------------------------------------------------------------------

    def _faults(
        self, calls: pl.DataFrame, tenant: str, levels: Sequence[_Level], of_account: Ints, bought: _Purchases, answered: Bools
    ) -> dict[int, str]:  # fmt: skip
        """Row of `calls` -> the reason, in the order in which charging looks (`rating.charge`)."""
        terms, found, sale = self.terms, dict[int, str](), levels[0].sides

        def note(rows: npt.NDArray[Any], words: Callable[[int], str]) -> None:
            for row in np.flatnonzero(rows).tolist():
                found.setdefault(row, words(row))

        accounts, trunks = calls["account"], calls["ingress_trunk"]
        for row, words in sale.wrong.items():
            found.setdefault(row, words)
        nobody = "no ingress account: the caller's address belongs to no trunk"
        note(sale.places == UNKNOWN, lambda row: f"account {accounts[row]!r} is not known: {MEND}" if accounts[row] else nobody)
        if not terms.self_register:
            names, of_trunk = _codes(trunks)
            strange = np.asarray([name != "" and (tenant, name) not in terms.trunks for name in names], bool)
            note(strange[of_trunk], lambda row: f"ingress trunk {trunks[row]!r} is not known: {MEND}")
        carriers, of_carrier = _codes(calls["carrier"])
        unknown = np.asarray([terms.bought(tenant, carrier).offer == UNKNOWN for carrier in carriers], bool)
        note(unknown[of_carrier] & (calls["legs"].to_numpy() == 0), lambda row: f"carrier {calls['carrier'][row]!r} is not known: {MEND}")
        kinds = calls["b_kind"]
        payable = answered & (kinds != "emergency").to_numpy()  # nobody pays for it
        note(payable & (sale.places >= 0) & (sale.priced.rate < 0), lambda row: self._why(SELL, sale, row, kinds[row]))
        items, _, _, sides, wrong = bought
        rows = items["row"].to_numpy()
        for item in np.flatnonzero(sides.places == UNKNOWN).tolist():
            found.setdefault(int(rows[item]), f"carrier {items['carrier'][item]!r} is not known: {MEND}")
        talks = items["answered"].to_numpy() & (items["b_kind"] != "emergency").to_numpy()
        for item in np.flatnonzero(talks & (sides.places >= 0) & (sides.priced.rate < 0)).tolist():
            found.setdefault(int(rows[item]), self._why(BUY, sides, item, items["b_kind"][item]))
        for item, words in sides.wrong.items():
            found.setdefault(int(rows[item]), words)
        for row, words in wrong.items():
            found.setdefault(row, words)
        note(answered & kinds.is_in(UNREADABLE).to_numpy(), lambda row: f"b_number is {kinds[row] or 'empty'}, not a number that a deck can price")
        if not terms.self_register or terms.sell_amount_expected:
            note(
                payable & (sale.places == NO_DECK) & ~sale.fed,
                lambda row: f"account {accounts[row]!r} has no sell deck and the record says no amount",
            )
        for by, has, sides in levels[1:]:
            due = payable & has
            for row in np.flatnonzero(due & ((sides.places < 0) | (sides.priced.rate < 0))).tolist():
                words = "has no deck at this moment" if sides.places[row] < 0 else self._why(SELL, sides, row, kinds[row])
                joint = " " if sides.places[row] < 0 else ": "
                found.setdefault(row, f"reseller {by[of_account[row]].party!r}{joint}{words}")
        return found

    def _why(self, side: str, sides: _Sides, at: int, kind: str) -> str:
        if sides.priced.rate[at] == OUT_OF_RANGE:
            return f"{side}: the amount is beyond the range of one call's money"
        deck = self.terms.offers[sides.places[at]].deck.name
        if sides.priced.rate[at] == REJECTED:
            return f"{side}: deck {deck} allows no call to such a number"
        if kind not in E164_KINDS:
            return f"{side}: b_number is {kind or 'empty'}, not a number that a deck can price"
        return f"{side}: no rate in deck {deck}"

    # --- amounts that a feed says ----------------------------------------------------------------------------------------------------

    def _fed(
        self, places: Ints, priced: Priced, segments: Mapping[int, tuple[Segment, ...]], at: pl.DataFrame, amounts: pl.DataFrame | None, role: str
    ) -> _Sides:  # fmt: skip
        n = len(places)
        if amounts is None or not amounts.height:
            return _Sides(places, priced, segments, *_unfed(n))
        said = at.join(amounts, on=at.columns, how="left", maintain_order="left")
        nanos, currencies, wrong = np.zeros(n, np.int64), [""] * n, {}
        named = said[f"{role}_amount"].fill_null("")
        fed = (named != "").to_numpy() & (places < 0)
        for row in np.flatnonzero(fed).tolist():
            one = said.row(row, named=True)
            currency = one["currency"] if role == SELL else one["buy_currency"] or one["currency"]
            try:
                nanos[row], currencies[row] = feed_amount(f"{role}_amount", one[f"{role}_amount"], currency)
            except ValueError as error:
                wrong[row] = str(error)
        return _Sides(places, priced, segments, nanos, fed, pl.Series(currencies, dtype=pl.String), wrong)

    def _fed_seconds(self, head: pl.DataFrame, amounts: pl.DataFrame | None) -> pl.Series:
        assert amounts is not None
        at = head.select("record_partition", "record_offset")
        duration = at.join(amounts, on=at.columns, how="left", maintain_order="left")["duration_ms"].fill_null(0)
        return -((-duration) // 1000)

    # --- rows ------------------------------------------------------------------------------------------------------------------------

    def _rows(
        self, head: pl.DataFrame, role: str, level: int, by: Sequence[Charged], codes: Ints, sides: _Sides, start_ms: pl.Series, attempt_no: Ints,
        was_sent: Bools, fed_seconds: pl.Series | None = None,
    ) -> pl.DataFrame:  # fmt: skip
        """Rows of CHARGES. `head`: their calls; `by[codes]`: who is charged; `was_sent`: which with their attempt fee; `fed_seconds`: those that
        the feed's own amount is for."""
        places, priced, segments, nanos, fed, currency, _ = sides
        if len(self.terms.offers) != self._of_offers.n:
            self._of_offers = self._offers()
        offers = self._of_offers
        ours = places >= 0
        good = ours & (priced.rate >= 0)
        at = np.where(good, offers.first[np.maximum(places, 0)] + priced.rate, -1) if offers.n else np.full(len(places), -1)
        offer, applied = pl.Series(np.where(ours, places, offers.n)), pl.Series(np.where(good, places, offers.n))
        usage = np.where(fed, nanos, np.where(good, priced.usage_nanos, 0))
        connect, surcharge = np.where(good, priced.connect_nanos, 0), np.where(good, priced.surcharge_nanos, 0)
        attempt = np.where(good & was_sent, priced.attempt_nanos, 0)
        seconds = pl.Series(np.where(good, priced.charged_s, 0))
        parties, agreements = pl.Series([one.party for one in by], dtype=pl.String), pl.Series([one.agreement for one in by], dtype=pl.String)
        who, currencies = pl.Series(codes), offers.currencies.gather(offer)
        own: dict[str, pl.Expr | pl.Series] = {
            "run": pl.lit(self.run, pl.Int64), "role": pl.lit(role), "level": pl.lit(level, pl.Int32),
            "attempt_no": pl.Series(attempt_no).cast(pl.Int32), "segment": pl.lit(0, pl.Int32),
            "party": parties.gather(who), "agreement": agreements.gather(who),
            "deck": offers.names.gather(offer), "deck_id": offers.ids.gather(offer),
            "prefix": _text(self._prefixes, at), "destination": _text(self._destinations, at), "start_ms": start_ms.cast(pl.Int64),
            "charged_s": seconds if fed_seconds is None else fed_seconds.zip_with(pl.Series(fed), seconds),
            "per_min_nanos": pl.Series(np.where(good, priced.per_min_nanos, 0)),
            "usage_nanos": pl.Series(usage), "connect_nanos": pl.Series(connect), "attempt_nanos": pl.Series(attempt),
            "surcharge_nanos": pl.Series(surcharge), "nanos": pl.Series(usage + connect + attempt + surcharge),
            "currency": currencies if not fed.any() else currencies.zip_with(pl.Series(~fed), currency),
            "fx": offers.fx.gather(applied), "rounding": offers.roundings.gather(applied), "tax": offers.taxes.gather(applied), "package": pl.lit(""),
            "config_version": pl.lit(self.terms.version, pl.Int64),
        }  # fmt: skip
        rows = head.select(*_WHERE, *_ROUTE).with_columns(**own).select(CHARGES.names()).cast(CHARGES)
        changing = [place for place in segments if good[place]]
        if not changing:
            return rows
        parts = []
        for place in changing:
            row = rows.row(place, named=True)
            whole = Purchase(row["attempt_no"], row["party"], row["agreement"], start_ms=row["start_ms"])
            for one in charged(whole, self.terms.offers[places[place]], one_of(priced, place, segments), bool(was_sent[place])):
                own_part = {name: getattr(one, name) for name in _OF_SEGMENT}
                parts.append(row | own_part | {"nanos": one.usage_nanos + one.connect_nanos + one.attempt_nanos + one.surcharge_nanos})
        whole_ones = np.ones(rows.height, bool)
        whole_ones[changing] = False
        return pl.concat([rows.filter(pl.Series(whole_ones)), pl.DataFrame(parts, schema=CHARGES)])


class _Offers(NamedTuple):
    """The first `n` of `Terms.offers` in columns, with a last place for none. `first`: where the rates of each begin in the lists of all."""

    n: int
    first: Ints
    names: pl.Series
    ids: pl.Series
    currencies: pl.Series
    fx: pl.Series
    roundings: pl.Series
    taxes: pl.Series


class _Moments(NamedTuple):
    """The moments of calls, or attempts, whose price list an agreement may name."""

    answer_ms: Ints
    setup_ms: Ints
    end_ms: Ints

    def of(self, by: Sequence[Charged], codes: Ints) -> Ints:
        """That of each agreement."""
        if all(one.instant == "answer" for one in by):
            return self.answer_ms
        which = np.asarray([("answer", "setup", "end").index(one.instant) for one in by], np.int64)[codes]
        found: Ints = np.choose(which, self)
        return found


class _Purchases(NamedTuple):
    """`items`: a row per attempt that may be bought; `row`: of its call. `by[codes]`: who is paid. `wrong`: call -> what is wrong with its amount."""

    items: pl.DataFrame
    by: list[Charged]
    codes: Ints
    sides: _Sides
    wrong: Mapping[int, str]


def _unfed(n: int) -> tuple[Ints, Bools, pl.Series, dict[int, str]]:
    return np.zeros(n, np.int64), np.zeros(n, bool), pl.Series([""], dtype=pl.String).new_from_index(0, n), {}


def _is_all(here: Ints, of: int) -> bool:
    """Whether these are all of so many places, in their order: nearly always, and then nothing need be copied."""
    return len(here) == of and bool((here == np.arange(of)).all())


def _at(rows: pl.DataFrame, here: Ints) -> pl.DataFrame:
    return rows if _is_all(here, rows.height) else rows[here]


def _taken(sides: _Sides, here: Ints) -> _Sides:
    if _is_all(here, len(sides.places)):
        return sides._replace(wrong={})
    priced, segments = Priced(*(column[here] for column in sides.priced)), {}
    if sides.segments:
        changing = np.flatnonzero(np.isin(here, list(sides.segments)))
        segments = {place: sides.segments[was] for place, was in zip(changing.tolist(), here[changing].tolist(), strict=True)}
    return _Sides(sides.places[here], priced, segments, sides.amount[here], sides.fed[here], sides.fed_currency.gather(here), {})


def _codes(values: pl.Series) -> tuple[list[str], Ints]:
    """The different texts of a column, and the place in them of each row.

    >>> _codes(pl.Series(["b", "a", "b"]))
    (['b', 'a'], array([0, 1, 0]))
    """
    different = values.unique(maintain_order=True)
    return different.to_list(), values.cast(pl.Enum(different)).to_physical().cast(pl.Int64).to_numpy()


def _numbers(calls: pl.DataFrame, name: str) -> list[str]:
    """The numbers by which rates are found. A short number is no prefix: 112 is not a call to the USA, 911 none to Delhi."""
    numbers, fits = calls[name], calls[name.replace("number", "kind")].is_in(E164_KINDS)
    if not fits.all():
        numbers = numbers.zip_with(fits, pl.Series([""]).new_from_index(0, len(numbers)))
    return numbers.to_list()


def _deckless(one: Charged) -> bool:
    return one.offer in (NO_DECK, UNKNOWN, PLANNED)  # between the spans of a plan there is no deck


def _places(by: Sequence[Charged], codes: Ints, at_ms: Ints) -> Ints:
    """The offer of each call: that of its agreement, or of the agreement's plan at that time."""
    places = np.asarray([one.offer for one in by], np.int64)[codes] if len(by) else np.empty(0, np.int64)
    plans = list(dict.fromkeys(one.plan for one in by if one.offer == PLANNED))
    if not plans:
        return places
    number = {plan: at for at, plan in enumerate(plans)}
    which = np.asarray([number[one.plan] if one.offer == PLANNED else -1 for one in by], np.int64)[codes]
    order = np.argsort(which, kind="stable")
    ends = np.searchsorted(which[order], np.arange(-1, len(plans)), side="right")
    for at, plan in enumerate(plans):
        here = order[ends[at] : ends[at + 1]]
        spans = np.asarray(plan, np.int64)
        span = np.searchsorted(spans[:, 0], at_ms[here], side="right") - 1
        inside = (span >= 0) & (at_ms[here] < spans[np.maximum(span, 0), 1])
        places[here] = np.where(inside, spans[np.maximum(span, 0), 2], NO_DECK)
    return places


def _text(texts: pl.Series, at: Ints) -> pl.Series:
    """The text at each place; "" at -1."""
    if not len(texts):
        return pl.Series([""], dtype=pl.String).new_from_index(0, len(at))
    return texts.gather(pl.Series(np.where(at < 0, 0, at))).zip_with(pl.Series(at >= 0), pl.Series([""]).new_from_index(0, len(at)))
