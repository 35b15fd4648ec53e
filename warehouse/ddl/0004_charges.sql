-- What somebody owes for a call: one row per call, role, level, attempt and segment, under the offset of the call. `role` sell: level 0 is the
-- customer, 1 and more the resellers above; buy: one row per attempt or egress leg that cost something.
--
-- Two owners of a version, never one counter: judge alone numbers call revisions, and whoever prices again writes under a rating run of its
-- own, an id that the books give out (live is run 0). The money that counts is that of the highest (revision, run) of a call, of the runs that
-- `rating_runs` says count: a call that was corrected after a rating run counts as corrected, and `warehouse.queries.corrected_after_run` finds
-- it. A run writes all charges of a call, and none of them counts before its row in `rating_runs` stands.
--
-- Money is Int64 nanos (1e-9), as one charge fits; `amount` is its exact Decimal(38, 9) twin. Sum that, never the nanos: a sum of Int64 wraps
-- without a word.
CREATE TABLE IF NOT EXISTS charges
(
    `partition` Int32 CODEC(ZSTD(1)),
    `offset` Int64 CODEC(Delta, ZSTD(1)),
    `revision` Int32 CODEC(ZSTD(1)),
    `run` Int64 CODEC(ZSTD(1)),
    `role` LowCardinality(String),
    `level` Int32 CODEC(ZSTD(1)),
    `attempt_no` Int32 CODEC(ZSTD(1)),
    `segment` Int32 CODEC(ZSTD(1)),
    `record_partition` Int32 CODEC(ZSTD(1)),
    `record_offset` Int64 CODEC(Delta, ZSTD(1)),
    `learned_ms` Int64 CODEC(Delta, ZSTD(1)),
    `tenant` LowCardinality(String),
    `call_key` String CODEC(ZSTD(1)),
    `party` LowCardinality(String),
    `account` LowCardinality(String),
    `carrier` LowCardinality(String),
    `trunk_group` LowCardinality(String),
    `egress_trunk` LowCardinality(String),
    `agreement` LowCardinality(String),
    `deck` LowCardinality(String),
    `deck_id` LowCardinality(String),
    `prefix` LowCardinality(String),
    `destination` LowCardinality(String),
    `start_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `end_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `setup_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `answer_ms` Nullable(Int64) CODEC(Delta, ZSTD(1)),
    `charged_s` Int64 CODEC(ZSTD(1)),
    `per_min_nanos` Int64 CODEC(ZSTD(1)),
    `usage_nanos` Int64 CODEC(ZSTD(1)),
    `connect_nanos` Int64 CODEC(ZSTD(1)),
    `attempt_nanos` Int64 CODEC(ZSTD(1)),
    `surcharge_nanos` Int64 CODEC(ZSTD(1)),
    `nanos` Int64 CODEC(ZSTD(1)),
    `currency` LowCardinality(String),
    `fx` LowCardinality(String),
    `rounding` LowCardinality(String),
    `tax` LowCardinality(String),
    `package` String CODEC(ZSTD(1)),
    `config_version` Int64 CODEC(ZSTD(1)),
    `learned_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(learned_ms, 'UTC'),
    `start_at` Nullable(DateTime64(3, 'UTC')) ALIAS fromUnixTimestamp64Milli(start_ms, 'UTC'),
    `end_at` Nullable(DateTime64(3, 'UTC')) ALIAS fromUnixTimestamp64Milli(end_ms, 'UTC'),
    `amount` Decimal(38, 9) ALIAS toDecimal128(nanos, 9) / 1000000000
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(fromUnixTimestamp64Milli(learned_ms, 'UTC'))
ORDER BY (tenant, partition, offset, revision, run, role, level, attempt_no, segment)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_bytes_for_wide_part = 134217728;
-- Which rating runs count. One row makes all charges of a run count, or none of them any more: the last row of a run is in force. A run that has
-- no row counts nowhere, however many of its charges are stored.
CREATE TABLE IF NOT EXISTS rating_runs
(
    `run` Int64,
    `counts` Bool,
    `set_ms` Int64,
    `who` String,
    `why` String,
    `set_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(set_ms, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (run, set_ms)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
