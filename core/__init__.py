"""What is a call? Schemas, numbers, money, time, ids and config. Pure but for `core.locks` and `core.clock`: no I/O, no clock."""
