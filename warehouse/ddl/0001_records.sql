-- One row per offset of the topic `calls` (ticks have none), with what became of it.
--
-- Times are Int64 milliseconds, exactly as they came: a clock that says 1970 or 2^53 must stay readable as what it said, and frames
-- go in without a conversion. The readable twins (learned_at, at, ...) are ALIAS columns: no bytes, no work at insert. Pick them by
-- name, or read the view.
--
-- PARTITION BY: `learned_ms` is the timestamp that the journal gave the offset, so it is the same in every replay, retry and mending
-- of that offset. `at_ms` is what a switch claims: a wrong clock would scatter one insert over hundreds of days. A key that moved to
-- another day would never collapse, because merges stay inside a partition.
--
-- ORDER BY ends with partition, offset, revision: a replayed offset collapses; a mended reject keeps its offset and is revision 2.
-- The version of ReplacingMergeTree is left out on purpose: equal keys are equal rows.
--
-- min_bytes_for_wide_part: a fresh part of 150,000 rows is one file, not one per column: fewer fsyncs, a quarter less processor time. What
-- merges grow beyond 128 MB (uncompressed) is wide; merging compact parts costs more than merging wide ones.
CREATE TABLE IF NOT EXISTS records
(
    `partition` Int32 CODEC(ZSTD(1)),
    `offset` Int64 CODEC(Delta, ZSTD(1)),
    `learned_ms` Int64 CODEC(Delta, ZSTD(1)),
    `tenant` LowCardinality(String),
    `switch` LowCardinality(String),
    `boot_id` LowCardinality(String),
    `seq` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `event` LowCardinality(String),
    `at_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `setup_boot_id` LowCardinality(String),
    `dialog_id` String CODEC(ZSTD(1)),
    `call_id` String CODEC(ZSTD(1)),
    `from_tag` String CODEC(ZSTD(1)),
    `root_id` String CODEC(ZSTD(1)),
    `leg` LowCardinality(String),
    `account` LowCardinality(String),
    `auth` LowCardinality(String),
    `ingress_trunk` LowCardinality(String),
    `src_ip` LowCardinality(String),
    `user_agent` LowCardinality(String),
    `a_raw` String CODEC(ZSTD(1)),
    `b_raw` String CODEC(ZSTD(1)),
    `from_raw` String CODEC(ZSTD(1)),
    `pai` String CODEC(ZSTD(1)),
    `diversion` String CODEC(ZSTD(1)),
    `attestation` LowCardinality(String),
    `lrn` String CODEC(ZSTD(1)),
    `attempt_no` Int32 CODEC(ZSTD(1)),
    `carrier` LowCardinality(String),
    `trunk_group` LowCardinality(String),
    `egress_trunk` LowCardinality(String),
    `sent_number` String CODEC(ZSTD(1)),
    `setup_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `ringing_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `answer_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `end_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `duration_ms` Nullable(Int64) CODEC(ZSTD(1)),
    `pdd_ms` Nullable(Int64) CODEC(ZSTD(1)),
    `interim_no` Int32 CODEC(ZSTD(1)),
    `part_no` Int32 CODEC(ZSTD(1)),
    `last` Bool CODEC(ZSTD(1)),
    `sip_code` Nullable(Int32) CODEC(ZSTD(1)),
    `q850` Nullable(Int32) CODEC(ZSTD(1)),
    `release_cause_text` LowCardinality(String),
    `release_side` LowCardinality(String),
    `suspected_hung` Bool CODEC(ZSTD(1)),
    `order_id` String CODEC(ZSTD(1)),
    `sell_amount` String CODEC(ZSTD(1)),
    `buy_amount` String CODEC(ZSTD(1)),
    `currency` LowCardinality(String),
    `imei` String CODEC(ZSTD(1)),
    `imsi` String CODEC(ZSTD(1)),
    `cell` LowCardinality(String),
    `buy_currency` LowCardinality(String),
    `route` LowCardinality(String),
    `route_rank` Int32 CODEC(ZSTD(1)),
    `a_number` String CODEC(ZSTD(1)),
    `a_kind` LowCardinality(String),
    `b_number` String CODEC(ZSTD(1)),
    `b_kind` LowCardinality(String),
    `disposition` LowCardinality(String),
    `reason` String CODEC(ZSTD(1)),
    `suspected_duplicate` Bool CODEC(ZSTD(1)),
    `raw` Nullable(String) CODEC(ZSTD(1)),
    `call_key` String CODEC(ZSTD(1)),
    `config_version` Int64 CODEC(ZSTD(1)),
    `revision` Int32 DEFAULT 1 CODEC(ZSTD(1)),
    `learned_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(learned_ms, 'UTC'),
    `at` Nullable(DateTime64(3, 'UTC')) ALIAS fromUnixTimestamp64Milli(at_ms, 'UTC'),
    `setup_at` Nullable(DateTime64(3, 'UTC')) ALIAS fromUnixTimestamp64Milli(setup_ms, 'UTC'),
    `answer_at` Nullable(DateTime64(3, 'UTC')) ALIAS fromUnixTimestamp64Milli(answer_ms, 'UTC'),
    `end_at` Nullable(DateTime64(3, 'UTC')) ALIAS fromUnixTimestamp64Milli(end_ms, 'UTC')
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(fromUnixTimestamp64Milli(learned_ms, 'UTC'))
ORDER BY (tenant, partition, offset, revision)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_bytes_for_wide_part = 134217728;
