-- A record's buy amount may have a currency of its own.
ALTER TABLE records ADD COLUMN IF NOT EXISTS `buy_currency` LowCardinality(String) AFTER `cell`;

-- What a view means by * was decided when it was made.
CREATE OR REPLACE VIEW records_latest AS
SELECT *, learned_at, at, setup_at, answer_at, end_at
FROM records
ORDER BY tenant DESC, partition DESC, offset DESC, revision DESC
LIMIT 1 BY tenant, partition, offset;
