"""Traffic with known answers: legitimate callers, the faults of real records, one labelled attack and one legitimate look-alike.

Nothing here knows how fraud is detected. Randomness is a seed and time is an argument; the same seed gives the same bytes. The truth labels
the attack; a record never does.

- `world.make_world(seed)`: tenants, accounts with habits, carriers, trunks, decks and their config.
- `day.day(seed, ...)`: some hours of records and their truth. `day.attacked(seed)`: whether there is an attack (odd seeds).
- `episodes.traffic(seed, n, ...)`: calls in columns with every family of fraud (`families/`) and honest look-alikes (`look_alikes/`).
- `live.run(...)`: the same traffic in real time, through a switch's block table, into its spool.
- `write.write(directory, ...)`: the same as files.
- `mix.bench_mix(n, seed)`: a fixed mix for benchmarks.
"""
