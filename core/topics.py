"""The topics of the journal. Names are stored: they change only with a migration."""

CALLS = "calls"
JUDGED = "judged"
SUMS = "sums"
FINDINGS = "findings"
BLOCK_ORDERS = "block_orders"

TOPICS = (CALLS, JUDGED, SUMS, FINDINGS, BLOCK_ORDERS)

CALLS_PARTITIONS = 4
"""How many partitions of `calls` a new installation makes."""

SPANNING = (FINDINGS, BLOCK_ORDERS)
"""Written by every judge, each into the partitions that it reads, and by `watch` into one more: a partition has one writer."""


def partitions_of(calls: int) -> dict[str, int]:
    """How many partitions each topic has where `calls` has so many.

    >>> partitions_of(4)
    {'calls': 4, 'judged': 4, 'sums': 4, 'findings': 5, 'block_orders': 5}
    """
    return {topic: calls + (topic in SPANNING) for topic in TOPICS}
