"""What a carrier bills for calls that we know, with faults and their key: the answers against which the reconciliation is scored.

Nothing here knows how faults are found.
"""
