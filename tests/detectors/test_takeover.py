STORED: dict[str, dict[str, str]] = {}
