"""What is a call? Schemas, numbers, money, time, ids and settings. Pure: nothing here reads a file, a socket or a clock."""
