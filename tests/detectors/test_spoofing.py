FADING = {"t_ms": "int64", "calls": "float64"}
STORED = dict.fromkeys(("calls", "bad", "own", "week_calls", "week_bad", "week_own"), FADING)
