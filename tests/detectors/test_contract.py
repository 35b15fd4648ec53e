"""One suite over every column-keeping stage: its compiled loop equals its uncompiled self, and no cut changes what a row sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import caps, decay
from detectors.columns import Columns

HALF_MS, LONG_MS = 900_000.0, 7 * 86_400_000.0

rows = st.lists(
    st.tuples(
        st.integers(0, 4),  # subject
        st.integers(1_700_000_000_000, 1_700_000_000_000 + 3 * 3_600_000),
        st.integers(0, 10**12),
        st.sampled_from([0.0, 0.4, 1.0, 6.0]),
        st.floats(0, 60),
        st.integers(0, 1),
        st.sampled_from([-1, 0, 1]),
    ),
    min_size=1,
    max_size=60,
)


def run_decay(loop, state: Columns, table) -> list[np.ndarray]:
    subject, t_ms, nanos, weight, minutes, calls, _ = (np.asarray(column) for column in zip(*table, strict=True))
    n = len(table)
    floats, ints = np.zeros((len(decay.FLOATS), n)), np.zeros((len(decay.INTS), n), np.int64)
    talk_ms = np.rint(minutes * 60_000).astype(np.int64)
    loop(
        state.places(subject.tolist()), t_ms, t_ms - talk_ms, nanos, nanos * 1e-9 * weight, talk_ms, calls, 1_882_000 + nanos % 3,
        HALF_MS, LONG_MS, *(state[name] for name in decay.HELD), floats, ints,
    )  # fmt: skip
    return [*floats, *ints]


def run_fade(loop, state: Columns, table) -> list[np.ndarray]:
    subject, t_ms, calls = (np.asarray([row[i] for row in table]) for i in (0, 1, 5))
    out = np.zeros(len(table))
    loop(state.places(subject.tolist()), t_ms, calls, HALF_MS, state["t_ms"], state["calls"], out)
    return [out]


def run_count(loop, state: Columns, table) -> list[np.ndarray]:
    subject, t_ms, nanos, calls, flying = (np.asarray([row[i] for row in table]) for i in (0, 1, 2, 5, 6))
    n = len(table)
    out = [np.zeros(n, np.int64) for _ in range(4)] + [np.zeros(n, np.bool_)]
    loop(state.places(subject.tolist()), t_ms, nanos, calls, flying, *(state[name] for name in caps.COLUMNS), *out)
    return out


def run_count_unpriced(loop, state: Columns, table) -> list[np.ndarray]:
    subject, t_ms, talk_ms, answers, flying = (np.asarray([row[i] for row in table]) for i in (0, 1, 2, 5, 6))
    out = [np.zeros(len(table), np.int64) for _ in range(3)]
    loop(state.places(subject.tolist()), t_ms, answers, talk_ms, flying, *(state[name] for name in caps.UNPRICED_COLUMNS), *out)
    return out


STAGES = {
    "decay": (run_decay, decay.decay, decay.decay_rows, decay.COLUMNS),
    "fade": (run_fade, decay.fade, decay.fade_rows, decay.FADING),
    "count": (run_count, caps.count, caps.count_rows, caps.COLUMNS),
    "count unpriced": (run_count_unpriced, caps.count_unpriced, caps.count_unpriced_rows, caps.UNPRICED_COLUMNS),
}


@pytest.mark.parametrize("stage", STAGES)
@given(table=rows, cut=st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_a_row_sees_itself_and_earlier_rows_however_the_stream_is_cut(stage, table, cut):
    run, loop, _, dtypes = STAGES[stage]
    whole = run(loop, Columns(dtypes), table)
    state = Columns(dtypes)
    pieces = [run(loop, state, piece) for piece in (table[:cut], table[cut:]) if piece]
    for at, expected in enumerate(whole):
        found = np.concatenate([piece[at] for piece in pieces])
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("stage", STAGES)
@given(table=rows)
@settings(max_examples=40, deadline=None)
def test_the_compiled_loop_is_its_uncompiled_self(stage, table):
    run, loop, model, dtypes = STAGES[stage]
    for found, expected in zip(run(loop, Columns(dtypes), table), run(model, Columns(dtypes), table), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("stage", STAGES)
@given(table=rows)
@settings(max_examples=20, deadline=None)
def test_a_restored_state_goes_on_as_if_nothing_had_happened(stage, table):
    run, loop, _, dtypes = STAGES[stage]
    state = Columns(dtypes)
    run(loop, state, table)
    again = Columns.restore(dtypes, state.copy())
    for found, expected in zip(run(loop, again, table), run(loop, state, table), strict=True):
        assert found.tobytes() == expected.tobytes()
