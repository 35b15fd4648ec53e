"""Where was a number ported to? Dumps and daily deltas of a ported-number table, and look-ups in it. Pure; dips are in services/portability."""
