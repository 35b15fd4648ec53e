-- The highest revision of each offset and of each call, once, whatever has merged. LIMIT BY reads in the order of the key: no sort,
-- and right across days, where FINAL is only right inside one.
CREATE OR REPLACE VIEW records_latest AS
SELECT *, learned_at, at, setup_at, answer_at, end_at
FROM records
ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC
LIMIT 1 BY tenant, partition, offset;

CREATE OR REPLACE VIEW rated_latest AS
SELECT
    *, learned_at, setup_at, answer_at, end_at, sell, buy,
    if(sell_currency = buy_currency, sell - buy, NULL) AS margin
FROM rated_calls
ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC
LIMIT 1 BY tenant, partition, offset;

-- received = the six dispositions, always: `unexplained` is 0. `absent` counts the offsets between the first and the last that have no
-- row: ticks, and whatever is lost. absent_offsets names them; the journal tells which of them are ticks.
CREATE OR REPLACE VIEW completeness AS
SELECT
    partition,
    min(offset) AS first_offset,
    max(offset) AS last_offset,
    count() AS received,
    countIf(disposition = 'rated') AS rated,
    countIf(disposition = 'unrated') AS unrated,
    countIf(disposition = 'event') AS events,
    countIf(disposition = 'reject') AS rejected,
    countIf(disposition = 'duplicate') AS duplicates,
    countIf(disposition = 'conflict') AS conflicts,
    toInt64(received) - toInt64(rated + unrated + events + rejected + duplicates + conflicts) AS unexplained,
    last_offset - first_offset + 1 - toInt64(received) AS absent
FROM records_latest
GROUP BY partition
ORDER BY partition;

CREATE OR REPLACE VIEW absent_offsets AS
SELECT partition, before + 1 AS first_absent, offset - 1 AS last_absent, last_absent - first_absent + 1 AS absent
FROM
(
    SELECT
        partition, offset,
        lagInFrame(offset, 1, offset - 1)
            OVER (PARTITION BY partition ORDER BY offset ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
    FROM (SELECT DISTINCT partition, offset FROM records)
)
WHERE offset > before + 1
ORDER BY partition, first_absent;

-- A gap in the sequence of a switch's boot is a record that never came: which numbers, and between which two moments.
CREATE OR REPLACE VIEW sequence_gaps AS
SELECT
    tenant, switch, boot_id,
    before + 1 AS first_missing, seq - 1 AS last_missing, last_missing - first_missing + 1 AS missing,
    fromUnixTimestamp64Milli(before_ms, 'UTC') AS learned_before, fromUnixTimestamp64Milli(learned_ms, 'UTC') AS learned_after
FROM
(
    SELECT
        tenant, switch, boot_id, seq, learned_ms,
        lagInFrame(seq, 1, seq - 1) OVER boot AS before,
        lagInFrame(learned_ms, 1, learned_ms) OVER boot AS before_ms
    FROM
    (
        SELECT tenant, switch, boot_id, assumeNotNull(records.seq) AS seq, min(records.learned_ms) AS learned_ms
        FROM records
        WHERE records.seq IS NOT NULL AND boot_id != ''
        GROUP BY tenant, switch, boot_id, seq
    )
    WINDOW boot AS (PARTITION BY tenant, switch, boot_id ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
)
WHERE seq > before + 1
ORDER BY tenant, switch, boot_id, first_missing;

-- One number of a boot in two partitions was judged twice by two memories that do not know of each other.
CREATE OR REPLACE VIEW sequence_twins AS
SELECT
    tenant, switch, boot_id, assumeNotNull(records.seq) AS seq,
    arraySort(groupUniqArray(partition)) AS partitions, count() AS rows
FROM records_latest AS records
WHERE records.seq IS NOT NULL AND boot_id != ''
GROUP BY tenant, switch, boot_id, seq
HAVING length(partitions) > 1
ORDER BY tenant, switch, boot_id, seq;
