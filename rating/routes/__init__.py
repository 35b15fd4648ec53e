"""Who should carry a call: candidates by prefix over every carrier's deck and gateway, filtered, ordered, each with its reason.

`choose` answers for one call and says why; `table` answers for columns and for the tables of switches. A property test holds the two together.
"""
