"""Foreign numbers that ring once: the cases are with those of flash calls, which differ by the country of the caller alone."""

STORED: dict[str, dict[str, str]] = {}
