"""Each compiled loop equals its uncompiled one, which is the model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import caps, decay, unpriced_caps
from detectors.columns import Columns

HALF_MS, LONG_MS = 900_000.0, 7 * 86_400_000.0

rows = st.lists(
    st.tuples(
        st.integers(0, 4),  # subject
        st.integers(1_700_000_000_000, 1_700_000_000_000 + 3 * 3_600_000),
        st.integers(0, 10**12),
        st.sampled_from([0.0, 0.4, 1.0, 6.0]),
        st.integers(0, 3_600_000),
        st.integers(0, 1),
        st.sampled_from([-1, 0, 1]),
    ),
    min_size=1,
    max_size=60,
)


def run_decay(loop, state: Columns, table):
    subject, t_ms, nanos, weight, talk_ms, calls, _ = (np.asarray(column) for column in zip(*table, strict=True))
    sums, counts = np.zeros((len(table), len(decay.FLOATS))), np.zeros((len(table), len(decay.INTS)), np.int64)
    loop(
        state.slots(subject.tolist()), t_ms, t_ms - talk_ms, nanos, nanos * 1e-9 * weight, talk_ms, calls, 1_882_000 + nanos % 3,
        HALF_MS, LONG_MS, *(state[name] for name in decay.DECAYED), sums, counts,
    )  # fmt: skip
    return sums, counts


def run_fade(loop, state: Columns, table):
    subject, t_ms, calls = (np.asarray([row[i] for row in table]) for i in (0, 1, 5))
    out = np.zeros(len(table))
    loop(state.slots(subject.tolist()), t_ms, calls, HALF_MS, state["t_ms"], state["calls"], out)
    return (out,)


def run_count(loop, state: Columns, table):
    subject, t_ms, nanos, calls, active = (np.asarray([row[i] for row in table]) for i in (0, 1, 2, 5, 6))
    out = np.zeros((len(table), len(caps.CAP_NAMES)), np.int64)
    loop(state.slots(subject.tolist()), t_ms, nanos, calls, active, *(state[name] for name in caps.COLUMNS), out)
    return (out,)


def run_count_unpriced(loop, state: Columns, table):
    subject, t_ms, talk_ms, answers, active = (np.asarray([row[i] for row in table]) for i in (0, 1, 4, 5, 6))
    out = np.zeros((len(table), len(unpriced_caps.CAP_NAMES)), np.int64)
    loop(state.slots(subject.tolist()), t_ms, answers, talk_ms, active, *(state[name] for name in unpriced_caps.COLUMNS), out)
    return (out,)


LOOPS = {
    "decay": (run_decay, decay.decay, decay.decay_rows, decay.STATE),
    "fade": (run_fade, decay.fade, decay.fade_rows, decay.FADING),
    "caps": (run_count, caps.count, caps.count_rows, caps.COLUMNS),
    "unpriced caps": (run_count_unpriced, unpriced_caps.count, unpriced_caps.count_rows, unpriced_caps.COLUMNS),
}


@pytest.mark.parametrize("name", LOOPS)
@given(table=rows)
@settings(max_examples=40, deadline=None)
def test_the_compiled_loop_equals_the_uncompiled_one(name, table):
    run, loop, model, dtypes = LOOPS[name]
    compiled, plain = Columns(dtypes), Columns(dtypes)
    for found, expected in zip(run(loop, compiled, table), run(model, plain, table), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    for column in dtypes:
        np.testing.assert_allclose(compiled[column], plain[column], rtol=1e-12)
