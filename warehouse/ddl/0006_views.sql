-- The highest revision of each offset, call and attempt, once, whatever has merged. LIMIT BY reads in the order of the key: no sort,
-- and right across days, where FINAL is only right inside one.
CREATE OR REPLACE VIEW records_latest AS
SELECT *, learned_at, at, setup_at, answer_at, end_at
FROM records
ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC
LIMIT 1 BY tenant, partition, offset;

CREATE OR REPLACE VIEW calls_latest AS
SELECT *, learned_at, setup_at, answer_at, end_at
FROM calls
ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC
LIMIT 1 BY tenant, partition, offset;

CREATE OR REPLACE VIEW attempts_latest AS
SELECT *, learned_at, at
FROM attempts
ORDER BY tenant, call_key, attempt_no, revision DESC, partition DESC, offset DESC
LIMIT 1 BY tenant, call_key, attempt_no;

-- The rating runs that count; live, run 0, always does.
CREATE OR REPLACE VIEW rating_runs_counting AS
SELECT run FROM rating_runs GROUP BY run HAVING argMax(counts, set_ms);

-- The charges that count: of each call those of the highest (revision, run), each once.
CREATE OR REPLACE VIEW charges_counted AS
SELECT * EXCEPT top
FROM
(
    SELECT *, max((revision, run)) OVER (PARTITION BY tenant, partition, offset) AS top
    FROM
    (
        SELECT *, learned_at, start_at, end_at, amount
        FROM charges
        WHERE run = 0 OR run IN (SELECT run FROM rating_runs_counting)
        ORDER BY tenant, partition, offset, revision, run, role, level, attempt_no, segment
        LIMIT 1 BY tenant, partition, offset, revision, run, role, level, attempt_no, segment
    )
)
WHERE (revision, run) = top;

-- A priced call with its money beside its facts. `sell` is what the customer owes; where attempts were bought in several currencies, `buy`
-- is null; what was not answered and cost nothing cost nothing in the currency in which it would have been sold.
CREATE OR REPLACE VIEW priced_calls AS
SELECT
    calls_latest.*, charges.run AS run,
    charges.billable_s AS billable_s, charges.sell_agreement AS sell_agreement, charges.sell_deck AS sell_deck,
    charges.sell_prefix AS sell_prefix, charges.sell_destination AS sell_destination, charges.sell AS sell,
    charges.sell_currency AS sell_currency, charges.buy_deck AS buy_deck, charges.buy_prefix AS buy_prefix,
    charges.buy_destination AS buy_destination, charges.buy AS buy, charges.buy_attempt_fees AS buy_attempt_fees,
    charges.buy_currency AS buy_currency, if(charges.sell_currency = charges.buy_currency, charges.sell - charges.buy, NULL) AS margin
FROM calls_latest
INNER JOIN
(
    SELECT
        tenant, partition, offset, max(run) AS run,
        sumIf(charged_s, role = 'sell' AND level = 0) AS billable_s,
        anyIf(agreement, role = 'sell' AND level = 0) AS sell_agreement,
        anyIf(deck, role = 'sell' AND level = 0) AS sell_deck,
        anyIf(prefix, role = 'sell' AND level = 0) AS sell_prefix,
        anyIf(destination, role = 'sell' AND level = 0) AS sell_destination,
        sumIf(amount, role = 'sell' AND level = 0) AS sell,
        anyIf(currency, role = 'sell' AND level = 0) AS sell_currency,
        argMaxIf(deck, (charged_s, attempt_no), role = 'buy') AS buy_deck,
        argMaxIf(prefix, (charged_s, attempt_no), role = 'buy') AS buy_prefix,
        argMaxIf(destination, (charged_s, attempt_no), role = 'buy') AS buy_destination,
        if(uniqExactIf(currency, role = 'buy') > 1, NULL, sumIf(amount, role = 'buy')) AS buy,
        sumIf(toDecimal128(attempt_nanos, 9) / 1000000000, role = 'buy') AS buy_attempt_fees,
        multiIf(
            uniqExactIf(currency, role = 'buy') > 1, 'several',
            countIf(role = 'buy') = 0 AND countIf(role = 'sell' AND start_ms IS NOT NULL) = 0, anyIf(currency, role = 'sell' AND level = 0),
            anyIf(currency, role = 'buy')
        ) AS buy_currency
    FROM charges_counted
    GROUP BY tenant, partition, offset
) AS charges USING (tenant, partition, offset);

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

-- A gap in the sequence of a switch's boot is a record that never came: which numbers, and between which two moments. A sequence belongs to
-- the switch, which may serve several tenants: `tenant` is that of the record behind the gap.
--
-- A boot's numbers begin at 1 (a switch that begins at 0 is as good): what is missing before the lowest one that came is lost as
-- well. Only where retention cannot have dropped it: of a boot whose lowest number we learned of on the oldest day that is kept, or
-- before, nothing is said. A missing end cannot be seen, but by the next number.
--
-- A number that leaps further than a switch can count is a fault of its record, and no gap: as many records as 10,000 per second since
-- the one before, and a million, may be missing. The record says of itself that it is far ahead (core/delivery.py).
--
-- A band of 65,536 numbers that all came is one row for the window, and only of the others each number is: to sort every number of forty
-- million records took over a minute, to count them in bitmaps takes seconds. (Of a number that came twice beside a gap, any of its times.)
CREATE OR REPLACE VIEW sequence_gaps AS
SELECT
    tenant, switch, boot_id,
    before + 1 AS first_missing, seq - 1 AS last_missing, last_missing - first_missing + 1 AS missing,
    fromUnixTimestamp64Milli(before_ms, 'UTC') AS learned_before, fromUnixTimestamp64Milli(learned_ms, 'UTC') AS learned_after
FROM
(
    SELECT
        tenant, switch, boot_id, seq, learned_ms,
        lagInFrame(last_seq, 1, least(0, seq - 1)) OVER boot AS before,
        lagInFrame(last_learned_ms, 1, learned_ms) OVER boot AS before_ms,
        lagInFrame(1, 1, 0) OVER boot AS has_one_before
    FROM
    (
        SELECT switch, boot_id, seq, last_seq, learned_ms, last_learned_ms, tenant
        FROM
        (
            SELECT
                switch, boot_id, intDiv(assumeNotNull(records.seq), 65536) AS band,
                min(assumeNotNull(records.seq)) AS seq, max(assumeNotNull(records.seq)) AS last_seq,
                groupBitmap(toUInt64(assumeNotNull(records.seq))) AS came,
                argMin(records.learned_ms, assumeNotNull(records.seq)) AS learned_ms,
                argMax(records.learned_ms, assumeNotNull(records.seq)) AS last_learned_ms,
                argMin(records.tenant, assumeNotNull(records.seq)) AS tenant
            FROM records
            WHERE records.seq IS NOT NULL AND boot_id != ''
            GROUP BY switch, boot_id, band
        )
        WHERE came = last_seq - seq + 1
        UNION ALL
        SELECT
            switch, boot_id, assumeNotNull(records.seq) AS seq, seq AS last_seq, min(records.learned_ms) AS learned_ms,
            learned_ms AS last_learned_ms, argMin(records.tenant, records.learned_ms) AS tenant
        FROM records
        WHERE records.seq IS NOT NULL AND boot_id != '' AND (switch, boot_id, intDiv(assumeNotNull(records.seq), 65536)) IN
        (
            SELECT switch, boot_id, intDiv(assumeNotNull(records.seq), 65536) AS band
            FROM records
            WHERE records.seq IS NOT NULL AND boot_id != ''
            GROUP BY switch, boot_id, band
            HAVING groupBitmap(toUInt64(assumeNotNull(records.seq)))
                != max(assumeNotNull(records.seq)) - min(assumeNotNull(records.seq)) + 1
        )
        GROUP BY switch, boot_id, seq
    )
    WINDOW boot AS (PARTITION BY switch, boot_id ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
)
WHERE seq > before + 1 AND seq - before - 1 <= 1000000 + 10 * greatest(0, learned_ms - before_ms)
    AND (has_one_before = 1 OR toDate(fromUnixTimestamp64Milli(learned_ms, 'UTC'))
        > (SELECT if(argMax(days, set_ms) = 0, toDate(0), toDate(now('UTC')) - argMax(days, set_ms) + 1) FROM retention WHERE `table` = 'records'))
ORDER BY switch, boot_id, first_missing;

-- One number of a boot in two partitions was judged twice by two memories that do not know of each other.
CREATE OR REPLACE VIEW sequence_twins AS
SELECT
    any(records.tenant) AS tenant, switch, boot_id, assumeNotNull(records.seq) AS seq,
    arraySort(groupUniqArray(partition)) AS partitions, count() AS rows
FROM records_latest AS records
WHERE records.seq IS NOT NULL AND boot_id != ''
GROUP BY switch, boot_id, seq
HAVING length(partitions) > 1
ORDER BY switch, boot_id, seq;
