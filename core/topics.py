"""The topics of the journal. Names are stored: they change only with a migration."""

CALLS = "calls"
JUDGED = "judged"
SUMS = "sums"
FINDINGS = "findings"
BLOCK_ORDERS = "block_orders"
SCORES = "scores"

TOPICS = (CALLS, JUDGED, SUMS, FINDINGS, BLOCK_ORDERS, SCORES)

CALLS_PARTITIONS = 4
"""Partitions of `calls` in a new installation."""

SPANNING = (FINDINGS, BLOCK_ORDERS)
"""Topics that every judge writes, into the partitions that it reads, and `watch` into one more: each partition has one writer."""


def partitions_of(calls: int) -> dict[str, int]:
    """The partitions of each topic for a number of partitions of `calls`.

    >>> partitions_of(4)
    {'calls': 4, 'judged': 4, 'sums': 4, 'findings': 5, 'block_orders': 5, 'scores': 1}
    """
    return {topic: 1 if topic == SCORES else calls + (topic in SPANNING) for topic in TOPICS}
