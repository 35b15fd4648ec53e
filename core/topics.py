"""The topics of the journal. Names are stored: they change only with a migration."""

CALLS = "calls"
JUDGED = "judged"
SUMS = "sums"
FINDINGS = "findings"
BLOCK_ORDERS = "block_orders"

TOPICS = (CALLS, JUDGED, SUMS, FINDINGS, BLOCK_ORDERS)

PARTITIONS = {CALLS: 4, JUDGED: 4, SUMS: 1, FINDINGS: 1, BLOCK_ORDERS: 1}
"""How many partitions a new installation makes of each. `calls` and `judged` have the same number, for life."""
