"""Property test of judge with every price far above the limits: its orders never block a protected number at the switch."""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from books import lists, writing
from core.config import Account, Carrier, Config, Trunk
from core.decide import Limits
from core.message import Message
from core.orders import BlockOrder
from core.policy import Policy
from core.record import TICK_KEY, Record, Tick, journal_key
from flows.step import State, judge
from rating.contracts import compile_contracts
from rating.decks import read_deck

HOSPITAL = "43150501234"
ACCOUNTS = ["acme", "other", "hospital", ""]
A_NUMBERS = ["+4366012345678", HOSPITAL, "anonymous", "", "ACME", "12%41", "112", "00436601234567", "911"]
B_NUMBERS = [f"+{HOSPITAL}", f"+{HOSPITAL[:-4]}9999", "+88213123456", "+37190012345", "112", "144", "116123", "+1121234567", "+9112345678", "x"]
DECK = read_deck("\n".join(["prefix,price_per_min", *(f"{n},500" for n in range(1, 10))]).encode(), "dear", "EUR")
EAGER = Policy(
    detectors={"burst": {"account_floor": 1.0, "a_number_floor": 1.0, "b_range_floor": 1.0}}, reissue_ms=1000, block_probability=0.0, block_loss=0.0,
    refused_call_cost=0.0,
)  # fmt: skip

calls = st.lists(
    st.tuples(
        st.sampled_from(ACCOUNTS),
        st.sampled_from(A_NUMBERS),
        st.sampled_from(B_NUMBERS) | st.text("0123456789", min_size=7, max_size=15).map(lambda d: "+" + d),
        st.integers(1, 30),  # how often
    ),
    min_size=1,
    max_size=6,
)


def test_orders_of_judge_never_affect_protected_numbers(house):
    with writing(house.engine) as conn:
        lists.add(conn, "protected", "number", HOSPITAL, "hospital", "ann", house.clock())
        lists.add(conn, "protected", "account", "hospital", "hospital", "ann", house.clock())
        protected = lists.protected(conn)
    config = Config(
        version=1, decks={"dear": DECK.deck_id}, policy=EAGER,
        accounts=tuple(Account(tenant="t1", name=name, sell_deck="dear") for name in ACCOUNTS if name),
        carriers=(Carrier(tenant="t1", name="blue", buy_deck="dear"),), trunks=(Trunk(tenant="t1", name="in"),),
        # judge knows the list of the moment of publishing: the hospital's account came later, and is stopped at the dispatcher
        protected_numbers=protected.numbers,
    )  # fmt: skip
    contracts = compile_contracts(config, {"dear": DECK})
    dispatcher = house.dispatcher(limits=Limits(orders_per_minute=10**9, distinct_subjects=10**9))
    seen: set[str] = set()
    ordered: set[str] = set()
    boots = iter(range(10**9))

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(calls)
    def drive(mix):
        now_ms, boot, seq = house.clock(), f"b{next(boots)}", 0
        messages = [Message(0, 0, now_ms, TICK_KEY, msgspec.json.encode(Tick(at_ms=now_ms, config_version=1)))]
        for account, a_raw, b_raw, times in mix:
            for _ in range(times):
                seq += 1
                stop = Record(
                    v=2, event="stop", switch="k1", boot_id=boot, seq=seq, dialog_id=str(seq), call_id=f"c{seq}", at_ms=now_ms, account=account,
                    ingress_trunk="in", a_raw=a_raw, b_raw=b_raw, answer_ms=now_ms - 60_000, end_ms=now_ms, sip_code=200, carrier="blue",
                )  # fmt: skip
                messages.append(Message(0, seq, now_ms, journal_key("t1", account, "in"), msgspec.json.encode(stop)))
        outcome = judge(State(b"s" * 16), messages, lambda _: contracts)
        for order in outcome.orders:
            blameless(order, protected.numbers)
            house.write(msgspec.json.encode(order))
        seen.update(dispatcher.step().orders)
        for entry in house.switch.tables["blocks"]:
            tenant, letter, who, a_number, b_range = entry.split("|")
            assert (tenant, letter) == ("t1", "A") and who in ("acme", "other")
            ordered.add(entry)
            for digits in (a_number, b_range):
                assert not touched(digits, protected.numbers), entry

    drive()
    assert {"standing", "refused"} <= seen, "some stand, and the hospital's account is refused"
    assert any(entry.split("|")[3] for entry in ordered) and any(entry.split("|")[4] for entry in ordered)


def touched(digits: str, numbers: tuple[str, ...]) -> bool:
    """The model: the digits of the block are a prefix of a protected number, or extend a full one."""
    return bool(digits) and any(n.startswith(digits) or (len(n) > 6 and digits.startswith(n)) for n in numbers)


def blameless(order: BlockOrder, numbers: tuple[str, ...]) -> None:
    key = order.key
    assert key.account and not key.ingress_trunk, "never a whole trunk, never a caller without an account"
    assert key.a_number in ("", "4366012345678", "436601234567"), "never a withheld, alphanumeric, short or protected caller"
    assert not touched(key.b_range, numbers)
    assert 0 < order.expires_at_ms - order.created_at_ms <= Policy().longest_ttl_ms
