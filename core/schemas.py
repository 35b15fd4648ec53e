"""The batches on the arrows: Polars schemas by name.

`RECORDS` comes out of decode; `JUDGED` is the row of the table `records`, one for every offset but ticks;
`RATED` is the row of the table `rated_calls`, one a call and revision, under the offset of the call's answer.
Money is int64 nanos, times are UTC epoch milliseconds, "" is "not known" in text columns, null in numeric ones.
"""

from __future__ import annotations

import polars as pl

RATED_DISPOSITION = "rated"  # a stop that was priced
UNRATED = "unrated"  # a call's money that we could not tell, with the reason
EVENT = "event"  # accrued, not billed
REJECT = "reject"  # not a record at all; its bytes are kept
DUPLICATE = "duplicate"  # the same delivery or the same event again, same content
CONFLICT = "conflict"  # the same again with other content; kept and named
DISPOSITIONS = (RATED_DISPOSITION, UNRATED, EVENT, REJECT, DUPLICATE, CONFLICT)
"""Every record ends as exactly one of these. Received = their sum, always."""

POSITION = {
    "partition": pl.Int32,
    "offset": pl.Int64,
    "learned_ms": pl.Int64,  # when the collector appended it
}

FACTS = {
    "tenant": pl.String,
    "switch": pl.String,
    "boot_id": pl.String,
    "seq": pl.Int64,
    "event": pl.String,
    "at_ms": pl.Int64,
    "setup_boot_id": pl.String,
    "dialog_id": pl.String,
    "call_id": pl.String,
    "from_tag": pl.String,
    "root_id": pl.String,
    "leg": pl.String,
    "account": pl.String,
    "auth": pl.String,
    "ingress_trunk": pl.String,
    "src_ip": pl.String,
    "user_agent": pl.String,
    "a_raw": pl.String,
    "b_raw": pl.String,
    "from_raw": pl.String,
    "pai": pl.String,
    "diversion": pl.String,
    "attestation": pl.String,
    "lrn": pl.String,
    "attempt_no": pl.Int32,
    "carrier": pl.String,
    "trunk_group": pl.String,
    "egress_trunk": pl.String,
    "sent_number": pl.String,
    "setup_ms": pl.Int64,
    "ringing_ms": pl.Int64,
    "answer_ms": pl.Int64,
    "end_ms": pl.Int64,
    "duration_ms": pl.Int64,
    "pdd_ms": pl.Int64,
    "interim_no": pl.Int32,
    "part_no": pl.Int32,
    "last": pl.Boolean,
    "sip_code": pl.Int32,
    "q850": pl.Int32,
    "release_cause_text": pl.String,
    "release_side": pl.String,
    "suspected_hung": pl.Boolean,
    "order_id": pl.String,
    "sell_amount": pl.String,
    "buy_amount": pl.String,
    "currency": pl.String,
    "imei": pl.String,
    "imsi": pl.String,
    "cell": pl.String,
    "buy_currency": pl.String,
}

NUMBERS = {"a_number": pl.String, "a_kind": pl.String, "b_number": pl.String, "b_kind": pl.String}

RECORDS = pl.Schema({**POSITION, **FACTS})

JUDGED = pl.Schema(
    {
        **POSITION,
        **FACTS,
        **NUMBERS,
        "disposition": pl.String,
        "reason": pl.String,  # why unrated / reject / duplicate / conflict; a sentence a person can act on
        "suspected_duplicate": pl.Boolean,  # the id of an earlier row, or an equal row without an id: priced, never dropped
        "raw": pl.Binary,  # a reject's bytes, else null
        "call_key": pl.String,  # hex of the call's identity, "" for a reject
        "config_version": pl.Int64,
    }
)

RATED = pl.Schema(
    {
        "partition": pl.Int32,  # with offset: of the call's answer, whoever ended it
        "offset": pl.Int64,
        "revision": pl.Int32,  # 1, and one more for each correction; money is read from the highest
        "record_partition": pl.Int32,  # with record_offset: of the record that ended it (or the tick that closed it)
        "record_offset": pl.Int64,
        "learned_ms": pl.Int64,
        "tenant": pl.String,
        "switch": pl.String,
        "call_key": pl.String,
        "call_id": pl.String,
        "account": pl.String,
        "ingress_trunk": pl.String,
        "carrier": pl.String,
        "trunk_group": pl.String,
        "egress_trunk": pl.String,
        **NUMBERS,
        "setup_ms": pl.Int64,
        "ringing_ms": pl.Int64,
        "answer_ms": pl.Int64,
        "end_ms": pl.Int64,
        "duration_ms": pl.Int64,
        "duration_source": pl.String,  # answer_to_end | switch | file | sign_of_life | session_timer
        "billable_s": pl.Int64,
        "attempts": pl.Int32,
        "pdd_ms": pl.Int64,
        "sip_code": pl.Int32,
        "q850": pl.Int32,
        "release_side": pl.String,
        "sell_deck": pl.String,
        "sell_prefix": pl.String,
        "sell_destination": pl.String,
        "sell_nanos": pl.Int64,
        "sell_currency": pl.String,
        "buy_deck": pl.String,
        "buy_prefix": pl.String,
        "buy_destination": pl.String,
        "buy_nanos": pl.Int64,  # the answering attempt plus every attempt fee
        "buy_attempt_fees_nanos": pl.Int64,
        "buy_currency": pl.String,
        "suspected_hung": pl.Boolean,
        "suspected_duplicate": pl.Boolean,
        "config_version": pl.Int64,
    }
)

USAGE = pl.Schema(
    {
        "partition": pl.Int32,
        "offset": pl.Int64,  # of the record, or of the tick that accrued or closed the call
        "learned_ms": pl.Int64,
        "t_ms": pl.Int64,  # when it happened; never later than learned_ms: a clock that is ahead must not make later rows look late
        "tenant": pl.String,
        "switch": pl.String,
        "call_key": pl.String,
        "call_id": pl.String,
        "started_ms": pl.Int64,
        "account": pl.String,
        "ingress_trunk": pl.String,
        "carrier": pl.String,
        "trunk_group": pl.String,
        "egress_trunk": pl.String,
        "a_number": pl.String,
        "a_kind": pl.String,
        "b_number": pl.String,
        "b_kind": pl.String,
        "b_raw": pl.String,  # as dialled; "" where a tick reports the call, not a record
        "answered": pl.Boolean,
        "final": pl.Boolean,  # the call ends with this row
        "nanos": pl.Int64,  # sell, or buy where nothing is sold: the money at risk
        "currency": pl.String,  # "" = no price is known
        "talk_ms": pl.Int64,
        "calls": pl.Int64,  # 1 on the first row of a call
        "flying": pl.Int64,  # +1 at the answer, -1 at the end
        "no_rate": pl.Boolean,  # answered, and no rate of the deck that would price it fits its number
    }
)
"""What each row adds to what is known of its call (`nanos`, `talk_ms`, `calls`, `flying` are differences): what the detectors read. Rows
that add nothing are not in it; nor are duplicates and conflicts."""

TABLES = {"records": JUDGED, "rated_calls": RATED}
"""Warehouse table -> schema; also the journal key (as bytes) of an Arrow batch in `judged`."""


def empty(schema: pl.Schema) -> pl.DataFrame:
    """A frame of no rows.

    >>> empty(RATED).height
    0
    """
    return pl.DataFrame(schema=schema)
