"""Is it honest? Features, rules and policy. Pure; the only place with numba."""
