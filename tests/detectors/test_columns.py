"""Columns: subjects come, go, and are copied."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.columns import FOR_EVER, KEY, LEAST, Columns


def filled(keys: list[int]) -> Columns:
    columns = Columns({"money": np.float64})
    slots = columns.slots(keys)
    columns["money"][slots] = np.asarray(keys, np.float64)
    columns["until_ms"][slots] = FOR_EVER
    return columns


@given(st.lists(st.lists(st.integers(1, 2**64 - 1), max_size=40), max_size=6), st.integers(2, 5))
def test_each_subject_keeps_its_values_while_others_come_and_go(rounds, nth):
    columns, model = filled([]), dict[int, float]()
    for keys in rounds:
        columns["money"][columns.slots(keys)] = np.asarray(keys, np.float64) / 2
        model |= {key: np.float64(key) / 2 for key in keys}
        stays = np.asarray([key % nth != 0 for key in columns.known()], np.bool_)
        columns.keep(stays)
        model = {key: value for key, value in model.items() if key % nth}
        assert {key: columns["money"][columns.find(key)] for key in columns.known()} == model
        copied = columns.copy()
        assert copied[KEY].tolist() == columns.known() == list(model)
        assert Columns.restore(columns.dtypes, copied)["money"][: len(model)].tolist() == list(model.values())
        columns.reuse(copied)


def test_columns_grow_with_zeros_in_new_slots():
    columns = filled([])
    columns.slots(range(1, LEAST + 1))
    assert len(columns["money"]) == LEAST
    columns["money"][:] = 7.0
    (slot,) = columns.slots([LEAST + 1])
    assert columns["money"][slot] == 0.0 and columns["money"][LEAST - 1] == 7.0


def test_a_copy_reuses_the_memory_of_a_returned_copy():
    columns = filled(list(range(1, 100)))
    first = columns.copy()
    second = columns.copy()
    assert not np.shares_memory(first["money"], second["money"]), "the first may still be read"
    columns.reuse(first)
    columns["money"][:] = 3.0
    third = columns.copy()
    assert np.shares_memory(first["money"], third["money"]) and third["money"].tolist() == [3.0] * 99
    assert second["money"].tolist() == [float(key) for key in range(1, 100)]
    columns.reuse(third)
    columns.slots(range(100, 5000))
    assert len(columns.copy()["money"]) == 4999, "memory that has become too small is replaced"


def test_expired_subjects_of_one_partition_are_dropped():
    columns = filled([1, 2, 3])
    columns["partition"][:3], columns["until_ms"][:3] = [0, 1, 0], [100, 100, 101]
    columns.forget(0, 100)
    assert columns.known() == [2, 3] and [columns.find(key) for key in (1, 2, 3)] == [-1, 0, 1]
