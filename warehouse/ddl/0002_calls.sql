-- The facts of a call, one row per call and call revision, and no money. It stands under the offset of the call's answer, whoever ended it,
-- so that two hung calls closed by one tick do not collapse, and a stop that comes after the closing is revision 2 of the same call.
--
-- ORDER BY ends with partition, offset, revision: a replay of the same revision collapses, a correction stands beside what it corrects.
-- Judge alone counts revisions. Read `calls_latest`, or `priced_calls` for the money beside the facts.
--
-- PARTITION BY: `learned_ms` is the journal's timestamp of the record that ended this revision, (record_partition, record_offset), and
-- a revision is ended by one record for ever: the same day in every replay. `answer_ms` and `end_ms` are what a switch claims, may be
-- missing, and a correction may change them. Another revision may stand in a later day, never in an earlier one; nothing that reads
-- the highest revision relies on both being in one day, and retention drops the older first.
CREATE TABLE IF NOT EXISTS calls
(
    `partition` Int32 CODEC(ZSTD(1)),
    `offset` Int64 CODEC(Delta, ZSTD(1)),
    `revision` Int32 CODEC(ZSTD(1)),
    `record_partition` Int32 CODEC(ZSTD(1)),
    `record_offset` Int64 CODEC(Delta, ZSTD(1)),
    `learned_ms` Int64 CODEC(Delta, ZSTD(1)),
    `tenant` LowCardinality(String),
    `switch` LowCardinality(String),
    `call_key` String CODEC(ZSTD(1)),
    `call_id` String CODEC(ZSTD(1)),
    `account` LowCardinality(String),
    `ingress_trunk` LowCardinality(String),
    `carrier` LowCardinality(String),
    `trunk_group` LowCardinality(String),
    `egress_trunk` LowCardinality(String),
    `a_number` String CODEC(ZSTD(1)),
    `a_kind` LowCardinality(String),
    `b_number` String CODEC(ZSTD(1)),
    `b_kind` LowCardinality(String),
    `lrn` String CODEC(ZSTD(1)),
    `setup_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `ringing_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `answer_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `end_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `duration_ms` Nullable(Int64) CODEC(ZSTD(1)),
    `duration_source` LowCardinality(String),
    `attempts` Int32 CODEC(ZSTD(1)),
    `pdd_ms` Nullable(Int64) CODEC(ZSTD(1)),
    `sip_code` Nullable(Int32) CODEC(ZSTD(1)),
    `q850` Nullable(Int32) CODEC(ZSTD(1)),
    `release_side` LowCardinality(String),
    `suspected_hung` Bool CODEC(ZSTD(1)),
    `suspected_duplicate` Bool CODEC(ZSTD(1)),
    `failed` Int32 CODEC(ZSTD(1)),
    `failed_no` Int32 CODEC(ZSTD(1)),
    `legs` Int32 CODEC(ZSTD(1)),
    `config_version` Int64 CODEC(ZSTD(1)),
    `learned_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(learned_ms, 'UTC'),
    `setup_at` Nullable(DateTime64(3, 'UTC')) ALIAS fromUnixTimestamp64Milli(setup_ms, 'UTC'),
    `answer_at` Nullable(DateTime64(3, 'UTC')) ALIAS fromUnixTimestamp64Milli(answer_ms, 'UTC'),
    `end_at` Nullable(DateTime64(3, 'UTC')) ALIAS fromUnixTimestamp64Milli(end_ms, 'UTC')
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(fromUnixTimestamp64Milli(learned_ms, 'UTC'))
ORDER BY (tenant, partition, offset, revision)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_bytes_for_wide_part = 134217728;
