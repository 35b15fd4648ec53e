"""Versions of the config: what a change writes, what versions share, and that no sequence of changes is another config than the whole."""

from __future__ import annotations

import shutil
import time
import weakref
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from books import Connection, configs, lists, migrate, open_books, reading, tenants, writing
from core.config import Account, Agreement, Caps, Carrier, Config, DeckSpan, Party, Trunk
from core.numbers import DialPlan
from core.parts import BUCKETS, split
from core.policy import Policy
from rating.contracts import NO_DECK, PLANNED, UNKNOWN, Charged, compile_contracts
from rating.decks import read_deck
from services import in_force, publishing
from services.config_file import Wrong
from services.publishing import Name

NOW = 1_795_000_000_000
RETAIL = b"prefix,price_per_min\n43,0.10\n"
WHOLESALE = b"prefix,price_per_min\n43,0.06\n"
JULY_MS = 1_782_856_800_000  # 2026-07-01 in Vienna


@pytest.fixture
def engine(tmp_path: Path, new_books: Path):
    shutil.copy(new_books, tmp_path / "books.db")
    engine = open_books(f"{tmp_path}/books.db")
    yield engine
    engine.dispose()


def publish(conn: Connection, folder: Path, text: str, why: str = "w") -> publishing.Published:
    folder.mkdir(exist_ok=True)
    (folder / "retail.csv").write_bytes(RETAIL)
    (folder / "wholesale.csv").write_bytes(WHOLESALE)
    (folder / "config.yaml").write_text(text)
    checked = publishing.check(folder / "config.yaml", conn)
    return publishing.publish(conn, checked, "ops", why, NOW)


ONE = """
tenant: t1
decks:
  retail: {file: retail.csv, currency: EUR}
  wholesale: {file: wholesale.csv, currency: EUR}
parties:
- {name: group, kinds: [reseller], sell_deck: wholesale}
- {name: shop, kinds: [reseller, customer], parent: group, agreement: shop}
- {name: bakery, kinds: [customer], parent: shop}
agreements:
- {name: shop, role: sell, party: shop, currency: EUR, plan: [{deck: wholesale}], payment_days: 14, credit_limit: 5000}
- name: bakery
  role: sell
  currency: EUR
  time_zone: Europe/Vienna
  plan: [{deck: retail, until: 2026-07-01}, {deck: wholesale, from: 2026-07-01}]
accounts:
- {name: pbx, party: bakery, agreement: bakery}
- {name: own, sell_deck: retail}
- {name: feed}
carriers:
- {name: alpha, buy_deck: wholesale}
"""


# --- what a version says ---


def test_terms_are_freed_without_a_collection(engine, tmp_path: Path):
    """What was compiled is frozen, so that no collection walks it while calls wait: a cycle in it would never be freed."""
    with writing(engine) as conn:
        publish(conn, tmp_path / "one", ONE)
    terms_of = in_force.from_books(engine)
    terms = terms_of(1)
    assert terms.sold("t1", "pbx") and terms.bought("t1", "nobody")
    alive = weakref.ref(terms)
    del terms, terms_of
    assert alive() is None


def test_an_account_is_sold_by_its_agreement_and_the_resellers_above_it_by_theirs(engine, tmp_path: Path):
    with writing(engine) as conn:
        publish(conn, tmp_path / "one", ONE)
    terms = in_force.from_books(engine)(1)
    forever = 2**62

    def by_deck(charged: Charged) -> tuple:
        plan = [(start, end, terms.offers[place].deck.name) for start, end, place in charged.plan]
        return (*charged[:3], plan or (terms.offers[charged.offer].deck.name if charged.offer >= 0 else charged.offer))

    assert [by_deck(one) for one in terms.sold("t1", "pbx")] == [
        (0, "bakery", "bakery", [(-forever, JULY_MS, "retail"), (JULY_MS, forever, "wholesale")]),
        (1, "shop", "shop", "wholesale"),
        (2, "group", "", "wholesale"),
    ]
    assert terms.sold("t1", "pbx")[0].offer == PLANNED
    assert [by_deck(one) for one in terms.sold("t1", "own")] == [(0, "own", "", "retail")]
    assert terms.sold("t1", "feed") == (Charged(0, "feed", "", NO_DECK),)
    assert terms.sold("t1", "nobody")[0].offer == terms.sold("t2", "own")[0].offer == UNKNOWN
    assert by_deck(terms.bought("t1", "alpha")) == (0, "alpha", "", "wholesale")
    assert terms.bought("t1", "").offer == NO_DECK and terms.bought("t1", "omega").offer == UNKNOWN
    assert terms.currency_of("t1", "pbx") == "EUR" and terms.currency_of("t1", "feed") == ""


def test_two_tenants_have_names_of_their_own(engine, tmp_path: Path):
    text = """
tenants:
  {tenant}:
    decks: {{retail: {{file: {deck}.csv, currency: EUR}}}}
    accounts: [{{name: acme, sell_deck: retail}}]
    trunks: [{{name: in, account: acme, dial_plan: home, sources: [{source}]}}]
    dial_plans: [{{name: home, country_code: {code}, trunk_prefix: 0}}]
    policy: {{order_score: {floor}}}
"""
    with writing(engine) as conn:
        lists.add(conn, "protected", "number", "112", "emergency", "ops", NOW)
        publish(conn, tmp_path / "a", text.format(tenant="t1", deck="retail", source="192.0.2.1", code=43, floor=100))
        done = publish(conn, tmp_path / "b", text.format(tenant="t2", deck="wholesale", source="192.0.2.2", code=49, floor=200))
        assert not [line for line in done.changes if "t1" in line], "the other tenant stays as it is"
        with pytest.raises(Wrong, match=r"tenants\.t3\.trunks\[0\]\.sources: 192\.0\.2\.1 is trunk in's already"):
            publish(conn, tmp_path / "c", text.format(tenant="t3", deck="retail", source="192.0.2.1", code=1, floor=1))
        config = configs.load(conn, 2)
        parts = split(msgspec.structs.replace(config, protected_accounts=("t1/acme",), protected_trunks=("everyones",)))
    terms = in_force.from_books(engine)(2)
    prices = {tenant: terms.offers[terms.sold(tenant, "acme")[0].offer].deck.per_min_nanos.tolist() for tenant in ("t1", "t2")}
    assert prices == {"t1": [100_000_000], "t2": [60_000_000]}
    assert [terms.plan_of(tenant, "in").country_code for tenant in ("t1", "t2")] == ["43", "49"]
    assert [terms.policy_of(tenant).order_score for tenant in ("t1", "t2")] == [100.0, 200.0]
    assert terms.protected_of("t1").numbers == terms.protected_of("t2").numbers == ("112",)
    with_names = compile_contracts(Config(**{f: getattr(config, f) for f in ("accounts", "dial_plans")}, protected_numbers=("112",),
                                          protected_accounts=("t1/acme",), protected_trunks=("everyones",)),
                                   {name: read_deck(RETAIL, "retail", "EUR") for name in config.decks})  # fmt: skip
    assert with_names.protected_of("t1").accounts == {"acme"} and with_names.protected_of("t2").accounts == frozenset()
    assert with_names.protected_of("t1").trunks == with_names.protected_of("t2").trunks == {"everyones"}
    assert len(parts) > 8


# --- faults of rows that lead somewhere ---


@pytest.mark.parametrize(
    ("was", "wrong", "fault"),
    [
        ("parent: group", "parent: grup", "parties[1].parent: no party 'grup'"),
        ("kinds: [reseller], sell_deck", "kinds: [customer], sell_deck", "parties[1].parent: party 'group' is not a reseller"),
        ("kinds: [reseller], sell_deck: wholesale", "kinds: [reseller]", "parties[1].parent: reseller 'group' has no agreement"),
        (
            "kinds: [reseller], sell_deck",
            "parent: shop, kinds: [reseller], sell_deck",
            "parties[0].parent: the resellers form a circle: group > shop > group",
        ),
        ("agreement: shop}", "agreement: shoe}", "parties[1].agreement: no agreement 'shoe'"),
        ("role: sell, party: shop", "role: buy, party: shop", "parties[1].agreement: 'shop' is a buy agreement: name a sell agreement"),
        ("role: sell, party: shop", "role: sell, party: group", "'shop' is an agreement with party 'group', not with 'shop'"),
        ("role: sell, party: shop", "role: sell, party: nobody", "agreements[0].party: no party 'nobody'"),
        ("currency: EUR, plan: [{deck: w", "currency: USD, plan: [{deck: w", "agreements[0].plan[0].deck: deck 'wholesale' is in EUR"),
        ("plan: [{deck: wholesale}]", "plan: [{deck: hole}]", "agreements[0].plan[0].deck: no deck 'hole'"),
        ("from: 2026-07-01", "from: 2026-06-30", "agreements[1].plan[1]: overlaps another deck of the plan"),
        ("until: 2026-07-01", "from: 2026-07-02, until: 2026-07-01", "agreements[1].plan[0].until: must be after `from`"),
        ("from: 2026-07-01", "from: July", "agreements[1].plan[1].from: 'July' is not a date such as 2026-01-31"),
        ("Europe/Vienna", "Europe/Wien", "agreements[1].time_zone: 'Europe/Wien' is not a time zone"),
        ("party: bakery, agreement: bakery", "party: baker, agreement: bakery", "accounts[0].party: no party 'baker'"),
        ("party: bakery, agreement: bakery", "agreement: bakery, sell_deck: retail", "accounts[0].sell_deck: is short for an agreement"),
        ("credit_limit: 5000", "credit_limit: -1", "agreements[0].credit_limit: must be >= 0"),
        ("payment_days: 14", "payment_days: soon", "agreements[0].payment_days: 'soon' is not a whole number"),
        ("payment_days: 14", "cycle: yearly", "agreements[0].cycle: 'yearly' is none of daily, weekly"),
        ("kinds: [customer], parent: shop", "kinds: [client]", "parties[2].kinds[0]: 'client' is none of customer, carrier, reseller"),
    ],
)
def test_a_name_that_leads_nowhere_has_its_place(conn, tmp_path: Path, was: str, wrong: str, fault: str):
    assert was in ONE
    with pytest.raises(Wrong) as found:
        publish(conn, tmp_path / "one", ONE.replace(was, wrong, 1))
    assert any(fault in line for line in found.value.faults), found.value.faults
    assert configs.latest(conn) == 0


def test_what_is_shown_is_what_was_published(conn, tmp_path: Path):
    publish(conn, tmp_path / "one", ONE)
    shown = publishing.as_file(conn, 1, tmp_path / "shown")
    checked = publishing.check(tmp_path / "shown" / "config.yaml")
    assert publishing.would_change(conn, checked) == []
    assert "until: '2026-07-01T00:00:00+02:00'" in shown and "credit_limit: '5000'" in shown
    publish(conn, tmp_path / "two", ONE.replace("tenant: t1", "tenant: t2"))
    publishing.as_file(conn, 2, tmp_path / "both")
    checked = publishing.check(tmp_path / "both" / "config.yaml")
    assert publishing.would_change(conn, checked) == [] and checked.tenants == ("t1", "t2")


# --- a few rows ---


def test_a_row_is_checked_in_itself_and_in_what_it_names(conn, tmp_path: Path):
    publish(conn, tmp_path / "one", ONE)
    wrong = {
        r"accounts t1/new: sell_deck: no deck 'none'": [Account(tenant="t1", name="new", sell_deck="none")],
        r"trunks t1/in: max_call: must be > 0": [Trunk(tenant="t1", name="in", max_call_s=0)],
        r"accounts t1/n\|w: name: 'n\|w' is not a name": [Account(tenant="t1", name="n|w")],
        r"there is no tenant 't9'": [Account(tenant="t9", name="new")],
        r"accounts t1/new: caps.money_day: must be >= 0": [Account(tenant="t1", name="new", caps=Caps(money_day_nanos=-1))],
    }
    for fault, rows in wrong.items():
        with pytest.raises(Wrong, match=fault):
            publishing.change(conn, rows, [], "ops", "w", NOW)
    with pytest.raises(Wrong, match=r"parties t1/shop: agreement: no agreement 'shop'"):
        publishing.change(conn, [], [Name("agreements", "t1", "shop")], "ops", "w", NOW)
    with pytest.raises(Wrong, match=r"accounts t1/nobody: there is none"):
        publishing.change(conn, [], [Name("accounts", "t1", "nobody")], "ops", "w", NOW)
    assert configs.latest(conn) == 1
    done = publishing.change(conn, [Account(tenant="t1", name="new", agreement="shop", party="shop")], [], "ops", "w", NOW)
    assert (done.version, done.changes, done.parts) == (2, ["+ account t1/new"], 1)
    again = publishing.change(conn, [Account(tenant="t1", name="new", agreement="shop", party="shop")], [], "ops", "w", NOW)
    assert (again.version, again.changes) == (2, [])


NAMES = [f"n{number}" for number in range(6)]
rows = st.one_of(
    st.builds(Account, tenant=st.sampled_from(["t1", "t2"]), name=st.sampled_from(NAMES), sell_deck=st.sampled_from(["", "retail"]),
              caps=st.builds(Caps, concurrent_calls=st.sampled_from([None, 1, 2])), first_seen_destination=st.booleans()),
    st.builds(Carrier, tenant=st.just("t1"), name=st.sampled_from(NAMES), buy_deck=st.sampled_from(["", "retail"])),
    st.builds(Party, tenant=st.just("t1"), name=st.sampled_from(NAMES), kinds=st.just(("reseller",)), sell_deck=st.just("retail"),
              parent=st.sampled_from(["", *NAMES])),
    st.builds(Trunk, tenant=st.sampled_from(["t1", "t2"]), name=st.sampled_from(NAMES), account=st.sampled_from(["", *NAMES]),
              dial_plan=st.sampled_from(["e164", "n1"])),
    st.builds(DialPlan, tenant=st.just("t1"), name=st.sampled_from(NAMES), country_code=st.sampled_from(["43", "49"])),
    st.builds(Agreement, tenant=st.just("t1"), name=st.sampled_from(NAMES), role=st.just("sell"), currency=st.just("EUR"),
              plan=st.sampled_from([(), (DeckSpan(deck="retail"),), (DeckSpan(deck="retail", until_at_ms=9),)])),
)  # fmt: skip
removals = st.builds(Name, st.sampled_from(["accounts", "parties", "trunks", "dial_plans", "agreements"]), st.just("t1"), st.sampled_from(NAMES))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.one_of(st.lists(rows, min_size=1, max_size=6), removals), max_size=8))
def test_any_sequence_of_changes_is_the_config_compiled_as_a_whole(tmp_path_factory: pytest.TempPathFactory, changes):
    folder = tmp_path_factory.mktemp("books")
    engine = open_books(f"{folder}/books.db")
    migrate(engine)
    text = "tenants:\n" + "".join(f"  {t}:\n    decks: {{retail: {{file: retail.csv, currency: EUR}}}}\n" for t in ("t1", "t2"))
    model: dict[tuple[str, str, str], object] = {}
    terms_of = in_force.from_books(engine)
    with writing(engine) as conn:
        publish(conn, folder, text)
        decks = configs.load(conn, 1).decks
    for change in changes:
        put, gone = ([], [change]) if isinstance(change, Name) else (change, [])
        with writing(engine) as conn:
            try:
                publishing.change(conn, put, gone, "ops", "w", NOW)
            except Wrong:
                continue
            model |= {(publishing.kind_of(row), row.tenant, row.name): row for row in put}
            for name in gone:
                del model[tuple(name)]
        with reading(engine) as conn:
            version = configs.latest(conn)
            loaded = configs.load(conn, version)
        by_kind = {kind: tuple(row for (of, _, _), row in sorted(model.items()) if of == kind) for kind in publishing.SINGULAR}
        # An empty policy is not stored apart from the default.
        whole = Config(version=version, decks=decks, policies=loaded.policies, **by_kind)
        assert loaded == whole
        shared, alone = terms_of(version), compile_contracts(whole, {name: read_deck(RETAIL, "retail", "EUR") for name in decks})
        for tenant in ("t1", "t2", "t3"):
            for name in NAMES:
                assert shared.sold(tenant, name) == alone.sold(tenant, name)
                assert shared.bought(tenant, name) == alone.bought(tenant, name)
                assert shared.plan_of(tenant, name) == alone.plan_of(tenant, name)
                assert shared.silence(tenant, name) == alone.silence(tenant, name)
            assert shared.policy_of(tenant) == alone.policy_of(tenant)
        assert {kind: dict(capped) for kind, capped in shared.caps.items()} == {kind: dict(capped) for kind, capped in alone.caps.items()}
        assert set(shared.first_seen) == set(alone.first_seen) and dict(shared.trunks) == dict(alone.trunks)
        assert len(shared.trunks) == len(list(shared.trunks))
    engine.dispose()


# --- many ---


ACCOUNTS = 20_000


def test_one_agreement_among_many_is_one_part_and_versions_share_the_rest(engine):
    """Counts, whatever the machine; times and memory of 100,000 are in bench/bench_config.py."""
    accounts = tuple(Account(tenant="t1", name=f"account-{n}", agreement=f"agreement-{n}") for n in range(ACCOUNTS))
    agreements = tuple(Agreement(tenant="t1", name=f"agreement-{n}", role="sell", currency="EUR") for n in range(ACCOUNTS))
    with writing(engine) as conn:
        tenants.add(conn, "t1", NOW)
        configs.publish(conn, Config(accounts=accounts, agreements=agreements, policies={"t1": Policy()}), "ops", "w", NOW)
    terms_of = in_force.from_books(engine)
    first = terms_of(1)
    began_s = time.monotonic()
    with writing(engine) as conn:
        changed = msgspec.structs.replace(agreements[7], payment_days=14)
        done = publishing.change(conn, [changed], [], "ops", "w", NOW)
        assert (done.parts, done.changes) == (1, ["~ agreement t1/agreement-7: payment_days"])
        assert time.monotonic() - began_s < 20
        assert len(configs.parts(conn, 2)) == len(configs.parts(conn, 1)) == 2 * BUCKETS + 1
    second = terms_of(2)
    pairs = [(first.rows[kind]._buckets["t1"], second.rows[kind]._buckets["t1"]) for kind in ("accounts", "agreements")]
    other = sum(one is not other for before, after in pairs for one, other in zip(before, after, strict=True))
    assert other == 1, "all buckets but one are the same objects in both versions"
    assert second.find("agreements", "t1", "agreement-7").payment_days == 14
    assert first.find("agreements", "t1", "agreement-7").payment_days == 30
