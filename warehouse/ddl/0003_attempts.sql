-- One row per route attempt of a call: what a carrier was asked, what it answered, and after how long. It stands under the offset of the
-- record that ended the attempt; of a call that was closed as hung, under the tick that closed it, where several may stand: so the key has
-- the call in it. A call that is corrected has its last attempt twice, under two offsets: read `attempts_latest`.
CREATE TABLE IF NOT EXISTS attempts
(
    `partition` Int32 CODEC(ZSTD(1)),
    `offset` Int64 CODEC(Delta, ZSTD(1)),
    `revision` Int32 CODEC(ZSTD(1)),
    `learned_ms` Int64 CODEC(Delta, ZSTD(1)),
    `tenant` LowCardinality(String),
    `switch` LowCardinality(String),
    `call_key` String CODEC(ZSTD(1)),
    `attempt_no` Int32 CODEC(ZSTD(1)),
    `account` LowCardinality(String),
    `carrier` LowCardinality(String),
    `trunk_group` LowCardinality(String),
    `egress_trunk` LowCardinality(String),
    `a_number` String CODEC(ZSTD(1)),
    `a_kind` LowCardinality(String),
    `b_number` String CODEC(ZSTD(1)),
    `b_kind` LowCardinality(String),
    `lrn` String CODEC(ZSTD(1)),
    `setup_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `at_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `answered` Bool CODEC(ZSTD(1)),
    `duration_ms` Nullable(Int64) CODEC(ZSTD(1)),
    `pdd_ms` Nullable(Int64) CODEC(ZSTD(1)),
    `sip_code` Nullable(Int32) CODEC(ZSTD(1)),
    `q850` Nullable(Int32) CODEC(ZSTD(1)),
    `sent_number` String CODEC(ZSTD(1)),
    `route` LowCardinality(String),
    `route_rank` Int32 CODEC(ZSTD(1)),
    `learned_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(learned_ms, 'UTC'),
    `at` Nullable(DateTime64(3, 'UTC')) ALIAS fromUnixTimestamp64Milli(at_ms, 'UTC')
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(fromUnixTimestamp64Milli(learned_ms, 'UTC'))
ORDER BY (tenant, partition, offset, call_key, revision)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_bytes_for_wide_part = 134217728;
