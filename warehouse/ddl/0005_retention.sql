-- How many days each table is kept, counted by the day we learned of a row; 0 = for ever. The last row of a table is in force.
-- Set it with warehouse.keep_days, or by INSERT; the store applies it every hour by dropping whole days.
CREATE TABLE IF NOT EXISTS retention
(
    `table` LowCardinality(String),
    `days` UInt32,
    `set_ms` Int64,
    `who` String,
    `why` String,
    `set_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(set_ms, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (table, set_ms);

INSERT INTO retention (table, days, set_ms, who, why)
SELECT * FROM values(
    '`table` String, days UInt32, set_ms Int64, who String, why String',
    ('records', 400, 0, 'migration', 'a year and a month of records, to answer a dispute about the last bill of a year'),
    ('attempts', 400, 0, 'migration', 'as records'),
    ('calls', 0, 0, 'migration', 'kept as long as their charges'),
    ('charges', 0, 0, 'migration', 'money is kept until somebody decides otherwise'));
