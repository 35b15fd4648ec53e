"""The Polars schemas of the batches between the stages.

`RECORDS` is the output of decode; `JUDGED` is the table `records`, one row for every offset but ticks; `STEPS` is the output of assembly;
`CALLS`, `ATTEMPTS` and `CHARGES` are the tables of these names; `USAGE` is the input of the detectors.
Money is int64 nanos, times are UTC epoch milliseconds; unknown is "" in text columns and null in numeric ones.
"""

from __future__ import annotations

from typing import Any

import polars as pl

RATED_DISPOSITION = "rated"  # a stop that was priced
UNRATED = "unrated"  # a call that could not be priced, with the reason
EVENT = "event"  # accrued, not billed
REJECT = "reject"  # not a valid record; its bytes are stored
DUPLICATE = "duplicate"  # the same delivery or event again with the same content
CONFLICT = "conflict"  # the same delivery or event again with other content
DISPOSITIONS = (RATED_DISPOSITION, UNRATED, EVENT, REJECT, DUPLICATE, CONFLICT)
"""Every record has exactly one of these. Received = their sum, always."""

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
    "route": pl.String,
    "route_rank": pl.Int32,
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
        "suspected_duplicate": pl.Boolean,  # has the id of an earlier row, or equals a row without an id: priced, never dropped
        "raw": pl.Binary,  # a reject's bytes, else null
        "call_key": pl.String,  # hex of the call's identity, "" for a reject
        "config_version": pl.Int64,
    }
)

CALLS = pl.Schema(
    {
        "partition": pl.Int32,  # with offset: of the call's answer, or of its first end if it was not answered
        "offset": pl.Int64,
        "revision": pl.Int32,  # 1, and one more for each correction; numbered by judge only
        "record_partition": pl.Int32,  # with record_offset: of the record that ended or corrected it (or the tick that closed it)
        "record_offset": pl.Int64,
        "learned_ms": pl.Int64,
        "tenant": pl.String,
        "switch": pl.String,
        "call_key": pl.String,  # 32 hex digits: the 128-bit hash of the call's identity
        "call_id": pl.String,
        "account": pl.String,
        "ingress_trunk": pl.String,
        "carrier": pl.String,  # of the attempt that answered, else of the last one; likewise the next two
        "trunk_group": pl.String,
        "egress_trunk": pl.String,
        **NUMBERS,
        "lrn": pl.String,  # where the b_number was ported to, as the switch looked it up
        "setup_ms": pl.Int64,
        "ringing_ms": pl.Int64,
        "answer_ms": pl.Int64,
        "end_ms": pl.Int64,
        "duration_ms": pl.Int64,  # of the leg that is sold
        "duration_source": pl.String,  # answer_to_end | switch | file | sign_of_life | session_timer
        "attempts": pl.Int32,
        "pdd_ms": pl.Int64,
        "sip_code": pl.Int32,
        "q850": pl.Int32,
        "release_side": pl.String,
        "suspected_hung": pl.Boolean,
        "suspected_duplicate": pl.Boolean,
        "failed": pl.Int32,  # attempts that ended without an answer, each with its own record
        "failed_no": pl.Int32,  # the highest number of such an attempt
        "legs": pl.Int32,  # egress legs that have records of their own; 0 = one dialog for both sides
        "config_version": pl.Int64,
    }
)
"""The table `calls`: one row per call and call revision, without money: also of a call that has no price."""

RECORD, ACCRUAL, CLOSING, GONE = 0, 1, 2, 3  # kinds of a step

_ENDING = (
    "record_partition", "record_offset", "learned_ms", "end_ms", "duration_ms", "duration_source", "suspected_hung", "suspected_duplicate",
)  # fmt: skip

_STEPS: dict[str, Any] = {
    "kind": pl.Int8,  # RECORD; ACCRUAL, CLOSING: by a tick; GONE: the last row of a call, its state can be removed
    "row": pl.Int64,  # of the record in the decoded frame, -1 = a tick
    "t_ms": pl.Int64,  # event time
    "event": pl.String,
    "final": pl.Boolean,  # the call has ended with this row, or is corrected by it
    "gone": pl.Boolean,  # no later row of the call follows: its state can be removed
    "sells": pl.Boolean,  # has talk to sell: `answered` and `duration_ms` are of the whole call so far
    "answered": pl.Boolean,
    "buys": pl.Boolean,  # the end of an attempt or an egress leg (core.calls.LegEnd)
    **{name: CALLS[name] for name in _ENDING},
    **{name: dtype for name, dtype in CALLS.items() if name not in (*_ENDING, "config_version")},
    "continues": pl.Boolean,  # a later attempt of a call, in a file that writes one row per attempt
}

STEPS = pl.Schema(_STEPS)
"""The output of assembly: one row per record of a call, and one per call that a tick accrues, closes or forgets, with the facts of the call as
of that row."""

ATTEMPTS = pl.Schema(
    {
        "partition": pl.Int32,  # with offset: of the record that ended the attempt (or the tick that closed its call)
        "offset": pl.Int64,
        "revision": pl.Int32,  # of the call
        "learned_ms": pl.Int64,
        "tenant": pl.String,
        "switch": pl.String,
        "call_key": pl.String,
        "attempt_no": pl.Int32,
        "account": pl.String,
        "carrier": pl.String,
        "trunk_group": pl.String,
        "egress_trunk": pl.String,
        **NUMBERS,  # as the call had them when the attempt ended; likewise the next two: what it takes to price it again
        "lrn": pl.String,
        "setup_ms": pl.Int64,
        "at_ms": pl.Int64,  # of its answer, else when it ended
        "answered": pl.Boolean,
        "duration_ms": pl.Int64,
        "pdd_ms": pl.Int64,
        "sip_code": pl.Int32,
        "q850": pl.Int32,
        "sent_number": pl.String,  # this and the next two as the record says that ended the attempt; "" and 0 = it does not
        "route": pl.String,  # by which the switch chose the gateway: the view and the prefix
        "route_rank": pl.Int32,  # the gateway's place in it, from 1
    }
)
"""The table `attempts`: one row per route attempt of a call, from which carriers' quality is computed."""

CHARGES = pl.Schema(
    {
        "partition": pl.Int32,  # with offset: those of the call
        "offset": pl.Int64,
        "revision": pl.Int32,  # of the call, numbered by judge only
        "run": pl.Int64,  # the rating run that priced it, numbered by the books only; 0 = live
        "role": pl.String,  # sell | buy
        "level": pl.Int32,  # of a sale: 0 the customer, 1 and more the resellers above
        "attempt_no": pl.Int32,  # of a purchase: which attempt; 0 of a sale
        "segment": pl.Int32,  # 0, and one more for each change of the rate within the call
        "record_partition": pl.Int32,  # those of the call's revision
        "record_offset": pl.Int64,
        "learned_ms": pl.Int64,
        "tenant": pl.String,
        "call_key": pl.String,
        "party": pl.String,  # who owes it, or is owed: the account, the reseller, the carrier
        "account": pl.String,  # of the call
        "carrier": pl.String,  # of a purchase, that of the attempt; of a sale, the one that carried the call; likewise the next two
        "trunk_group": pl.String,
        "egress_trunk": pl.String,
        "agreement": pl.String,
        "deck": pl.String,  # "" = an amount from the feed
        "deck_id": pl.String,  # which version of it
        "prefix": pl.String,
        "destination": pl.String,
        "start_ms": pl.Int64,  # of the segment: the answer, null = there was none
        "end_ms": pl.Int64,  # of the call; likewise the next two
        "setup_ms": pl.Int64,
        "answer_ms": pl.Int64,
        "charged_s": pl.Int64,
        "per_min_nanos": pl.Int64,
        "usage_nanos": pl.Int64,
        "connect_nanos": pl.Int64,
        "attempt_nanos": pl.Int64,
        "surcharge_nanos": pl.Int64,
        "nanos": pl.Int64,  # the sum of the four; negative where the party is paid
        "currency": pl.String,
        "fx": pl.String,  # "" = in the deck's currency; else which rate converted it, of which day and source
        "rounding": pl.String,  # the mode by which the amount was rounded, once
        "tax": pl.String,  # inclusive: the amount is gross; "" = tax comes on top of it
        "package": pl.String,  # what of the agreement's package covered it, and for how many seconds; "" = nothing, as in every live charge
        "config_version": pl.Int64,
    }
)
"""The table `charges`: what a party owes for a call. The money that counts is that of the highest (revision, run) of the call."""

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
        "a_number": pl.String,  # "" for a caller that no block can name: withheld, short, invalid
        "a_kind": pl.String,
        "b_number": pl.String,
        "b_kind": pl.String,
        "b_raw": pl.String,  # as dialled; "" where a tick reports the call, not a record
        "answered": pl.Boolean,
        "final": pl.Boolean,  # the call ends with this row
        "nanos": pl.Int64,  # sell, or buy where nothing is sold: the money at risk
        "currency": pl.String,  # "" = the price is unknown
        "talk_ms": pl.Int64,
        "calls": pl.Int64,  # 1 on the first row of a call
        "active": pl.Int64,  # change of the number of active calls: +1 at the answer, -1 at the end
        "no_rate": pl.Boolean,  # answered, and its deck has no rate for its number
        "ringing_ms": pl.Int64,
        "answer_ms": pl.Int64,
        "duration_ms": pl.Int64,  # of the whole call so far
        "pdd_ms": pl.Int64,
        "sip_code": pl.Int32,
        # As the switch wrote them; "" where it did not, or where a tick reports the call.
        "src_ip": pl.String,
        "attestation": pl.String,
        "imei": pl.String,
        "imsi": pl.String,
        "cell": pl.String,
        "release_side": pl.String,
    }
)
"""The input of the detectors: what each row adds to its call (`nanos`, `talk_ms`, `calls` and `active` are differences). Rows that add nothing,
duplicates and conflicts are left out."""

TABLES = {"records": JUDGED, "calls": CALLS, "attempts": ATTEMPTS, "charges": CHARGES}
"""Table of the warehouse -> schema. The name is also the journal key (as bytes) of its Arrow batches in `judged`."""


def empty(schema: pl.Schema) -> pl.DataFrame:
    """A frame without rows.

    >>> empty(CHARGES).height
    0
    """
    return pl.DataFrame(schema=schema)
