"""Many calls in an embedded warehouse, made by the engine itself: ten million rows in a minute or two, spread over days, accounts and prices.

They lie in partitions of their own (from `FIRST_PARTITION` on), so that live traffic can be stored beside them.
"""

from __future__ import annotations

from warehouse import Warehouse

FIRST_PARTITION = 1_000
PARTITIONS = 4
A_CALL = 4
"""Records of a call: setup, ringing, answer, stop; of every fiftieth call the last one is another thing: unrated, reject, duplicate, conflict."""
CHUNK = 500_000

_SPREAD = """
    number, cityHash64(number, 1) AS h1, cityHash64(number, 2) AS h2, cityHash64(number, 3) AS h3,
    toInt64({from_ms} + intDiv(toInt128(number) * {span_ms}, {calls})) AS end_ms,
    toInt64(1 + if(h1 % 1000 < 700, h2 % 90, h2 % 1800)) AS talk_s,
    toInt64(end_ms - talk_s * 1000 - h3 % 900) AS answer_ms, toInt64(answer_ms - 2000 - h1 % 9000) AS setup_ms,
    toInt32({first_partition} + number % {partitions}) AS partition_no, toInt64(intDiv(number, {partitions}) * {a_call}) AS offset_0,
    concat('{tenant_prefix}', toString(1 + h2 % {tenants})) AS tenant_name,
    concat('account-', toString(toUInt32(floor(pow(h3 % 100000 / 100000, 3) * 2000)))) AS account_name,
    concat('carrier-', toString(h1 % 7)) AS carrier_name, concat('4366', leftPad(toString(h1 % 9999999), 7, '0')) AS a,
    concat(['43', '49', '39', '33', '44', '1', '88213'][1 + h2 % 7], leftPad(toString(h3 % 99999999), 8, '0')) AS b,
    lower(concat(hex(h1), hex(h2))) AS key
"""

_CALLS = """
INSERT INTO calls (partition, offset, revision, record_partition, record_offset, learned_ms, tenant, switch, call_key, call_id,
    account, ingress_trunk, carrier, trunk_group, egress_trunk, a_number, a_kind, b_number, b_kind, setup_ms, ringing_ms, answer_ms, end_ms,
    duration_ms, duration_source, attempts, pdd_ms, sip_code, q850, release_side, config_version)
SELECT partition_no, offset_0 + 2, 1, partition_no, offset_0 + 3, end_ms + 200, tenant_name, concat('k', toString(1 + h3 % 3)), key,
    concat(key, '@pbx'), account_name, concat(account_name, '-sbc'), carrier_name, concat(carrier_name, '-intl'), concat(carrier_name, '-1'),
    a, 'e164', b, 'e164', setup_ms, setup_ms + 1500, answer_ms, end_ms, end_ms - answer_ms, 'answer_to_end', 1, 1500, 200, 16,
    if(h1 % 2 = 1, 'caller', 'callee'), 1
FROM (SELECT {spread} FROM numbers({first}, {count}))
"""

_CHARGES = """
INSERT INTO charges (partition, offset, revision, run, role, level, attempt_no, segment, record_partition, record_offset, learned_ms, tenant,
    call_key, party, account, carrier, trunk_group, egress_trunk, deck, prefix, destination, start_ms, end_ms, charged_s, usage_nanos, nanos,
    currency, config_version)
SELECT partition_no, offset_0 + 2, 1, 0, side, 0, if(side = 'buy', 1, 0), 0, partition_no, offset_0 + 3, end_ms + 200, tenant_name, key,
    if(side = 'buy', carrier_name, account_name), account_name, carrier_name, concat(carrier_name, '-intl'), concat(carrier_name, '-1'),
    if(side = 'buy', 'buy-alpha', 'sell-business'), substring(b, 1, if(side = 'buy', 3, 4)) AS found, concat('destination ', found),
    answer_ms, end_ms, talk_s, toInt64(talk_s * if(side = 'buy', 150000 + h3 % 8000000, 200000 + h3 % 9000000)) AS amount, amount, 'EUR', 1
FROM (SELECT {spread}, arrayJoin(['sell', 'buy']) AS side FROM numbers({first}, {count}))
"""

_RECORDS = """
INSERT INTO records (partition, offset, learned_ms, tenant, switch, boot_id, seq, event, at_ms, setup_boot_id, dialog_id, call_id, from_tag,
    account, auth, ingress_trunk, src_ip, user_agent, a_raw, b_raw, attempt_no, carrier, setup_ms, answer_ms, end_ms, duration_ms, sip_code,
    a_number, a_kind, b_number, b_kind, disposition, reason, call_key, config_version, revision)
SELECT partition_no, offset_0 + step, [setup_ms, setup_ms + 1500, answer_ms, end_ms][step + 1] + 200 AS learned_ms, tenant_name,
    concat('k', toString(1 + h3 % 3)), '1764000000.1', toInt64(number * {a_call} + step),
    ['setup', 'ringing', 'answer', 'stop'][step + 1] AS event, learned_ms - 200, '1764000000.1', key, concat(key, '@pbx'), key, account_name,
    'ip', concat(account_name, '-sbc'), concat('198.51.100.', toString(h1 % 250)), 'pbx', a, b, 1, carrier_name, setup_ms,
    if(step > 1, answer_ms, NULL), if(step = 3, end_ms, NULL), if(step = 3, end_ms - answer_ms, NULL), 200, a, 'e164', b, 'e164',
    multiIf(step < 3, 'event', h1 % 50 > 0, 'rated', ['unrated', 'reject', 'duplicate', 'conflict'][1 + h2 % 4]) AS disposition,
    if(disposition = 'unrated', 'no deck has this prefix', ''), key, 1, 1
FROM (SELECT {spread}, arrayJoin(range({a_call})) AS step FROM numbers({first}, {count}))
"""


def fill(warehouse: Warehouse, calls: int, days: float, until_ms: int, tenants: tuple[str, int] = ("t", 1)) -> None:
    """`calls` calls that ended in the `days` before `until_ms`, with their records. `tenants`: ("t", 2) = t1 and t2."""
    prefix, how_many = tenants
    span_ms = round(days * 86_400_000)
    for first in range(0, calls, CHUNK):
        count = min(CHUNK, calls - first)
        spread = _SPREAD.format(
            from_ms=until_ms - span_ms, span_ms=span_ms, calls=calls, first_partition=FIRST_PARTITION, partitions=PARTITIONS,
            a_call=A_CALL, tenant_prefix=prefix, tenants=how_many,
        )  # fmt: skip
        for sql in (_CALLS, _CHARGES, _RECORDS):
            text = sql.format(spread=spread, first=first, count=count, a_call=A_CALL)
            warehouse.command(text, settings={"max_partitions_per_insert_block": 0, "max_insert_threads": 2})
