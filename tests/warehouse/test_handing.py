"""Rows from a process that does not hold the warehouse are inserted by the one that does."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest

from core import schemas
from warehouse import WarehouseDown, WarehouseError, handing, lock, open_warehouse
from warehouse.handing import _hand, inserting


@pytest.fixture
def holder(client, directory):
    """The thread of the process that holds the directory."""
    stop = threading.Event()
    thread = threading.Thread(target=handing.take, args=(directory, stop))
    thread.start()
    yield client
    stop.set()
    thread.join()


def test_who_holds_it_or_finds_it_free_inserts_by_itself(client, directory, rows):
    with inserting(f"chdb://{directory}") as insert:
        insert("charges", rows.table(schemas.CHARGES, rows.charges_of(rows.call(1, 10))))
    assert client.query("SELECT count() FROM charges").first_row == (2,)


def test_rows_of_another_process_are_inserted_by_the_holder(holder, directory, rows):
    batch = rows.table(schemas.CHARGES, rows.charges_of(rows.call(1, 10)))
    for _ in range(2):
        _hand(directory, "charges", batch)
    assert holder.query("SELECT count() FROM charges_counted").first_row == (2,), "the same again counts once"
    assert not list((directory / handing.PLACE).iterdir())


def test_what_cannot_be_inserted_is_told_to_whoever_handed_it_over(holder, directory, rows):
    batch = rows.table(schemas.CHARGES, rows.charges_of(rows.call(1, 10)))
    with pytest.raises(WarehouseError, match="colour"):
        _hand(directory, "charges", batch.append_column("colour", pa.array(["red", "blue"])))
    with pytest.raises(WarehouseError, match="no table 'system"):
        _hand(directory, "system.numbers", batch)
    assert not list((directory / handing.PLACE).iterdir())


def test_a_holder_that_takes_nothing_is_named_and_nothing_is_left(client, directory, rows, monkeypatch):
    monkeypatch.setattr(handing, "ANSWER_S", 0.2)
    with pytest.raises(WarehouseDown, match="look into its log"):
        _hand(directory, "charges", rows.table(schemas.CHARGES, rows.charges_of(rows.call(1, 10))))
    assert not list((directory / handing.PLACE).iterdir())
    assert (directory / lock.NAME).exists() and open_warehouse
