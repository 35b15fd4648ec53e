"""The state of the detectors, split over partitions and merged again."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from detectors.alerts import Alert
from detectors.columns import Columns
from detectors.features import OddCall
from detectors.latest import Latest
from detectors.registry import detectors, features
from detectors.state import DetectorState, merge, subset

SUMS = pl.DataFrame({"partition": [0, 2, 0], "call_id": ["c1", "c2", "c3"]}, schema_overrides={"partition": pl.Int32})


def whole() -> DetectorState:
    """Two subjects of each sort, with homes 6 and 9, in one partition."""
    state = DetectorState(
        b"secret",
        alerts={str(home): Alert("finding-1", 1, 1, 1, 1.0, home=home) for home in (6, 9)},
        examples={home: Latest(home, [("c", 1)]) for home in (6, 9)},
        dialled={home: Latest(home, ["1#2"]) for home in (6, 9)},
        odd_calls={str(home): OddCall(1, home) for home in (6, 9)},
        gathered=[SUMS],
        clocks={0: 100, 2: 300},
    )
    columns = state.subjects["caps"]["account"]
    slots = columns.slots([11, 12])
    columns["home"][slots], columns["day_nanos"][slots] = [6, 9], [5, 7]
    return state


@pytest.mark.parametrize(
    ("partitions", "selected", "homes"), [(1, [0], [6, 9]), (4, [2], [6]), (4, [1], [9]), (4, [0, 3], []), (3, {0}, [6, 9]), (7, (6, 2), [6, 9])]
)
def test_a_subset_has_the_subjects_whose_home_is_there(partitions, selected, homes):
    state = subset(whole(), partitions, selected)
    assert state.secret == b"secret"
    assert list(state.alerts) == list(state.odd_calls) == list(map(str, homes))
    assert list(state.examples) == list(state.dialled) == homes
    columns = state.subjects["caps"]["account"]
    assert columns["home"][: len(columns)].tolist() == homes
    assert columns["partition"][: len(columns)].tolist() == [home % partitions for home in homes]
    assert columns["day_nanos"][: len(columns)].tolist() == [{6: 5, 9: 7}[home] for home in homes]


@pytest.mark.parametrize(
    ("clocks", "selected", "expected", "gathered"),
    [
        ({0: 100, 2: 300}, [0, 1], {0: 100, 1: 300}, ["c1", "c3"]),  # a new partition begins at the latest clock
        ({0: 100, 2: 300}, [2], {2: 300}, ["c2"]),
        ({}, [0, 1], {}, ["c1", "c3"]),  # nobody had a tick yet
    ],
)
def test_clocks_and_sums_stay_with_their_partition(clocks, selected, expected, gathered):
    state = whole()
    state.clocks = clocks
    found = subset(state, 4, selected)
    assert found.clocks == expected and pl.concat(found.gathered)["call_id"].to_list() == gathered


def test_subsets_merge_to_the_whole():
    merged = merge([subset(whole(), 4, selected) for selected in ([0, 1], [2, 3])], b"another")
    assert merged.secret == b"secret"
    assert (merged.alerts.keys(), merged.odd_calls.keys(), merged.dialled.keys()) == ({"6", "9"}, {"6", "9"}, {6, 9})
    assert sorted(pl.concat(merged.gathered)["call_id"].to_list()) == ["c1", "c2", "c3"]
    assert merged.clocks == {0: 100, 1: 300, 2: 300, 3: 300}
    columns = merged.subjects["caps"]["account"]
    assert {key: columns["day_nanos"][columns.find(key)] for key in columns.known()} == {11: 5, 12: 7}
    assert merge([], b"first").secret == b"first"


def test_a_stored_state_gains_new_columns_and_loses_unknown_ones():
    dtypes = next(one for one in detectors() if one.name == "caps").state["account"]
    older = Columns({name: dtype for name, dtype in dtypes.items() if name != "active"} | {"gone": np.int64})
    older["day_nanos"][older.slots([11])] = 5
    same = Columns(dtypes)
    state = DetectorState(b"s", {"caps": {"account": older, "destination": same, "gone": same}, "gone": {}})
    assert set(state.subjects) == {one.name for one in (*features(), *detectors())} and set(state.subjects["caps"]) == {"account", "destination"}
    account = state.subjects["caps"]["account"]
    assert account.known() == [11] and account["day_nanos"][0] == 5 and account["active"][0] == 0 and "gone" not in account.dtypes
    assert state.subjects["caps"]["destination"] is same
    assert len(list(state.columns())) == sum(len(one.state) for one in (*features(), *detectors()))
