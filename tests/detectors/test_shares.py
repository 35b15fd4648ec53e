"""The loop that numba compiles, against itself as plain Python."""

from __future__ import annotations

import numpy as np

from detectors.shares import KINDS, NAMES, NOW_MS, STATE, WEEK_MS, share_rows, shared

STORED = {"account": {name: np.dtype(dtype).name for name, dtype in STATE.items()}}


def run(loop, added: np.ndarray, t_ms: np.ndarray) -> np.ndarray:
    zeros = {name: np.zeros(1, dtype) for name, dtype in STATE.items()}
    now, week = tuple(zeros[name] for name in KINDS), tuple(zeros[f"week_{name}"] for name in KINDS)
    out, n = np.zeros((len(t_ms), len(NAMES))), len(t_ms)
    home = zeros["home_code"], zeros["home_lead"]
    loop(np.zeros(n, np.int64), t_ms, added.copy(), np.full(n, 43), NOW_MS, WEEK_MS, zeros["t_ms"], now, week, *home, out)
    return out


def test_the_compiled_loop_is_the_plain_one_and_odd_calls_are_hardly_learnt():
    rng = np.random.default_rng(7)
    added = np.zeros((400, len(KINDS)))
    added[:, [0, 3]] = 1
    added[:, 1] = rng.random(400) < np.where(np.arange(400) < 200, 0.02, 0.9)  # callers that do not exist, from the middle on
    t_ms = 1_790_000_000_000 + np.arange(400) * 60_000
    found = run(shared, added, t_ms)
    np.testing.assert_allclose(found, run(share_rows, added, t_ms))
    names = list(NAMES)
    now, week = (found[-1, names.index(f"{which}bad")] / found[-1, names.index(f"{which}calls")] for which in ("", "week_"))
    assert now > 0.5 and week < 0.2
