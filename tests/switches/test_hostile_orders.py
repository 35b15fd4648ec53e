"""A writer of the topic `block_orders` can write any bytes: the table of the switch stays valid."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from books import audit, lists, progress, reading, writing
from core.decide import Limits
from core.safety import MAX_TTL_MS
from core.topics import BLOCK_ORDERS
from switches.dispatcher import READER

HOSPITAL = "4315000000"
NAMES = ["acme", "hospital", "", "a|b", "x" * 65, "acme\x00", "trunk:tg7", "T|tg7", "*", "ä", "' or 1=1 --", "\ud7ff", "own"]
TENANTS = ["t1", "t1", "t1", "t2", "", "t1|A|acme", "nobody", "t1\x00"]
DIGITS = [
    "",
    "1",
    "11",
    "112",
    "1121",
    "1161",
    "116123",
    "4",
    "431",
    HOSPITAL,
    HOSPITAL + "12",
    HOSPITAL[:7],
    "882",
    "88213",
    "8" * 16,
    "88a",
]
DIGITS += ["+431", "٣٤", "anonymous", " 112", "112 ", "0", "00112"]
TIMES = [0, -1, 2**31, 2**53, 2**53 + 1, 2**63, 2**64, 10**40, 4_102_444_800_000, 1.5, "1", None, True]

texts = st.text(max_size=20)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def near(now_ms: int) -> st.SearchStrategy[object]:
    return (
        st.sampled_from(TIMES)
        | st.integers(now_ms - 400_000, now_ms + 400_000)
        | st.integers(0, 400_000).map(lambda n: now_ms + n)
    )


def keys() -> st.SearchStrategy[object]:
    parts = {"account": st.sampled_from(NAMES), "ingress_trunk": st.sampled_from(["", "", "", *NAMES])}
    digits = {"a_number": st.sampled_from(DIGITS), "b_range": st.sampled_from(DIGITS) | st.text("0123456789", max_size=15)}
    return st.fixed_dictionaries({"tenant": st.sampled_from(TENANTS)}, optional=parts | digits)


def plausible_keys() -> st.SearchStrategy[object]:
    """Orders as judge writes them, with any range."""
    facts = {"tenant": st.just("t1"), "account": st.sampled_from(["acme", "other", "hospital"])}
    return st.fixed_dictionaries(
        facts, optional={"b_range": st.text("0123456789", max_size=15), "a_number": st.sampled_from(DIGITS)}
    )


@st.composite
def hostile(draw: st.DrawFn, now_ms: int) -> bytes:
    order = {
        "order_id": draw(
            st.text("abcdef0123456789", min_size=8, max_size=20)
            | texts
            | st.sampled_from(["order-1", "order|2", "x" * 100, "n\x00"])
        ),
        "key": draw(plausible_keys() | keys() | keys() | anything),
        "action": draw(st.sampled_from(["refuse", "refuse", "refuse", "allow", "", None])),
        "created_at_ms": now_ms,
        "learned_ms": now_ms,
        "expires_at_ms": now_ms + 3_600_000,
        "finding_id": draw(texts),
        "reason": draw(texts | st.just("\x00")),
        "by": draw(st.sampled_from(["judge", "ann", "", "dispatcher"])),
    }
    if draw(st.booleans()):
        order |= {name: draw(near(now_ms)) for name in ("created_at_ms", "learned_ms", "expires_at_ms") if draw(st.booleans())}
    if draw(st.integers(0, 3)) == 0:
        order[draw(st.sampled_from(sorted(order)))] = draw(anything)
    value = json.dumps(order, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    cut = draw(st.integers(0, 40))
    return value[:-cut] if cut in range(1, 5) else value + draw(st.sampled_from([b"", b"", b"", b"}", b"\x00"]))


def an_honest_order(now_ms: int) -> bytes:
    facts = {"order_id": "honest", "action": "refuse", "finding_id": "f", "reason": "a burst", "by": "judge"}
    times = {"created_at_ms": now_ms, "learned_ms": now_ms, "expires_at_ms": now_ms + 3_600_000}
    return json.dumps({**facts, **times, "key": {"tenant": "t1", "account": "acme", "b_range": "88213"}}).encode()


def test_hostile_orders_leave_the_switch_clean(house):
    with writing(house.engine) as conn:
        lists.add(conn, "protected", "number", HOSPITAL, "hospital", "ann", house.clock())
        lists.add(conn, "protected", "account", "hospital", "hospital", "ann", house.clock())
        protected = lists.protected(conn)
    plenty = 10**9
    dispatcher = house.dispatcher(limits=Limits(orders_per_minute=plenty, distinct_subjects=plenty))
    seen: set[str] = set()

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @example([an_honest_order(house.clock())])
    @given(st.lists(hostile(house.clock()) | st.binary(max_size=200), min_size=1, max_size=20))
    def drive(values):
        for value in values:
            house.write(value)
        read = dispatcher.step()
        assert sum(read.orders.values()) == len(values)
        seen.update(read.orders)
        with reading(house.engine) as conn:
            assert progress.load(conn, READER, BLOCK_ORDERS, 0) == house.journal.end_offset(BLOCK_ORDERS, 0)
        for table in ("blocks", "shadow"):
            for entry, item in house.switch.tables[table].items():
                tenant, letter, who, a_number, b_range = entry.split("|")
                assert tenant == "t1" and letter == "A" and who and who not in protected.accounts, entry
                assert who.isascii() and len(who) <= 64
                for digits in (a_number, b_range):
                    assert digits == "" or (
                        digits.isascii() and digits.isdigit() and len(digits) <= 15 and not protected.meets(digits)
                    ), entry
                assert item.ends_s and item.ends_s * 1000 <= house.clock() + MAX_TTL_MS + 1000
        assert house.switch.lookup("t1", "acme", "", "4318123", HOSPITAL + "7") == ""
        assert house.switch.lookup("t1", "acme", "", "4318123", HOSPITAL) == ""

    drive()
    assert {"malformed", "refused", "standing"} <= seen
    assert house.due() == 0 and house.switch.live()
    with reading(house.engine) as conn:
        assert audit.counted(conn, "block_orders malformed") == len(audit.last(conn, 10**6, verb="malformed"))
