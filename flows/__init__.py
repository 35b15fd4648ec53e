"""How it runs, live: Bytewax dataflows and the steps on their arrows. Wiring, no rules. The only place with bytewax."""
