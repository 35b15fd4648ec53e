"""A key has the partition that Kafka gives it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.partition import home_of, murmur2, partition_for


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829), (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)  # fmt: skip
def test_it_is_kafka_s_own_hash(key: bytes, signed: int):
    """The vectors of org.apache.kafka.common.utils.UtilsTest."""
    assert murmur2(key) == signed % 2**32


@given(st.binary(max_size=40), st.integers(1, 64))
def test_a_partition_is_the_home_by_how_many_there_are(key: bytes, partitions: int):
    assert 0 <= home_of(key) < 2**31
    assert home_of(key) == murmur2(key) & 0x7FFFFFFF
    assert partition_for(key, partitions) == home_of(key) % partitions
