"""Frames as journal values: Arrow IPC streams, lz4, each at most 900 kB."""

from __future__ import annotations

import io

import polars as pl

MAX_BYTES = 900_000
ROWS = 4096


def to_values(frame: pl.DataFrame) -> list[bytes]:
    """The frame as values, in the order of its rows.

    >>> from_value(to_values(pl.DataFrame({"a": [1, 2]}))[0])["a"].to_list()
    [1, 2]
    """
    if frame.is_empty():
        return []
    if frame.height > ROWS:
        return [value for piece in frame.iter_slices(ROWS) for value in to_values(piece)]
    value = to_value(frame)
    if len(value) <= MAX_BYTES or frame.height == 1:
        return [value]
    half = frame.height // 2
    return to_values(frame[:half]) + to_values(frame[half:])


def to_value(frame: pl.DataFrame) -> bytes:
    """The frame as one stream, however large. Other threads may read the frame meanwhile: a copy of its handle is written, because Polars holds the
    lock of what it writes while it waits for the interpreter's, and whoever reads holds these the other way round: both would wait for ever."""
    buffer = io.BytesIO()
    frame.clone().write_ipc_stream(buffer, compression="lz4")
    return buffer.getvalue()


def from_value(value: bytes) -> pl.DataFrame:
    """The frame of one value."""
    return pl.read_ipc_stream(io.BytesIO(value))
