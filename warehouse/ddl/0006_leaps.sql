-- A number that leaps further than a switch can count is a fault of its record, and no gap: as many records as 10,000 per second since
-- the one before, and a million, may be missing. The record says of itself that it is far ahead (core/flight.py).
CREATE OR REPLACE VIEW sequence_gaps AS
SELECT
    tenant, switch, boot_id,
    before + 1 AS first_missing, seq - 1 AS last_missing, last_missing - first_missing + 1 AS missing,
    fromUnixTimestamp64Milli(before_ms, 'UTC') AS learned_before, fromUnixTimestamp64Milli(learned_ms, 'UTC') AS learned_after
FROM
(
    SELECT
        tenant, switch, boot_id, seq, learned_ms,
        lagInFrame(seq, 1, least(0, seq - 1)) OVER boot AS before,
        lagInFrame(learned_ms, 1, learned_ms) OVER boot AS before_ms,
        lagInFrame(1, 1, 0) OVER boot AS has_one_before
    FROM
    (
        SELECT tenant, switch, boot_id, assumeNotNull(records.seq) AS seq, min(records.learned_ms) AS learned_ms
        FROM records
        WHERE records.seq IS NOT NULL AND boot_id != ''
        GROUP BY tenant, switch, boot_id, seq
    )
    WINDOW boot AS (PARTITION BY tenant, switch, boot_id ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
)
WHERE seq > before + 1 AND seq - before - 1 <= 1000000 + 10 * greatest(0, learned_ms - before_ms)
    AND (has_one_before = 1 OR toDate(fromUnixTimestamp64Milli(learned_ms, 'UTC'))
        > (SELECT if(argMax(days, set_ms) = 0, toDate(0), toDate(now('UTC')) - argMax(days, set_ms) + 1) FROM retention WHERE `table` = 'records'))
ORDER BY tenant, switch, boot_id, first_missing;
