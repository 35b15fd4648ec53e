"""Traffic with known answers: legitimate callers, the mess of real records, one labelled attack and one honest look-alike.

Nothing here knows how fraud is found: whoever makes the attacks must not. Chance is a seed, time is an argument; the same seed
gives the same bytes. What is an attack stands in the truth alone, never in a record.

- `world.make_world(seed)`: tenants, accounts with habits, carriers, trunks, decks and the config that names them.
- `day.day(seed, ...)`: some hours of records and their truth. `day.attacked(seed)`: whether there is an attack (odd seeds).
- `live.run(...)`: the same traffic as the clock goes, through a switch's block table, into its spool.
- `write.write(directory, ...)`: the same as files.
- `mix.bench_mix(n, seed)`: a fixed mix to measure with.
"""
