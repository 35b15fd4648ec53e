"""The file that an operator edits: every fault of it at once, each with its place, and what is written is what was read."""

from __future__ import annotations

from pathlib import Path

import pytest

from services import publishing
from services.config_file import Wrong, read, render


def test_a_deck_in_another_format_is_stored_in_our_own(tmp_path: Path):
    (tmp_path / "d.csv").write_bytes("prefix;destination;price_per_min;effective_from\n43;Österreich;0,06;01.01.2026\n".encode("cp1252"))
    written = '{decimal: ",", date_format: "%d.%m.%Y", encoding: cp1252}'
    file = tmp_path / "config.yaml"
    file.write_text(f"tenant: t1\ndecks:\n  d: {{file: d.csv, currency: EUR, written: {written}}}\n")
    checked = publishing.check(file)
    assert checked.decks["t1", "d"].csv.decode().splitlines()[1] == "43,Österreich,0.06,0,0,1,1,2026-01-01T00:00:00+00:00,"
    file.write_text("tenant: t1\ndecks:\n  d: {file: d.csv, currency: EUR}\n")
    with pytest.raises(Wrong, match=r"decks\.d \(d\.csv\): byte 51 \(0xD6, line 2\) is not UTF-8"):
        publishing.check(file)


ALL_AT_ONCE = {
    (
        "tenant: t1\npolicy: {order_ttl: 30d, units: {IDR: 0}, "
        "detectors: {burst: {account_floor: -1, half_life: 0s, unpriced_per_min: lots}, brst: {}}}"
    ): [
        "policy.order_ttl: must be at most 7 days",
        "policy.units.IDR: must be > 0",
        "policy.detectors.burst.account_floor: must be a number >= 0, is -1",
        "policy.detectors.burst.half_life: must be > 0",
        "policy.detectors.burst.unpriced_per_min: 'lots' is not a number",
        "policy.detectors.brst: there is no such key; burst?",
    ],
    "tenant: t1\naccounts: [{name: a, caps: {money_hour: '1,500', money_day: -5, concurrent_calls: 1.5}}, {name: 'b|', nome: x}]": [
        "accounts[0].caps.money_hour: '1,500' is not a decimal amount",
        "accounts[0].caps.money_day: must be >= 0",
        "accounts[0].caps.concurrent_calls: '1.5' is not a whole number",
        "accounts[1].name: 'b|' is not a name",
        "accounts[1].nome: there is no such key; name?",
    ],
    (
        "tenant: t1\n"
        "trunks: [{name: t, dial_plan: no, max_call: 7200, sources: [[], 10.0.0.300, 10.0.0.1/8], "
        "caller_ranges: [0664, '+43', [], '', 43 1, 4312345678901234]}]"
    ): [
        "trunks[0].dial_plan: no dial plan 'no'",
        "trunks[0].max_call: '7200' is not a length of time",
        "trunks[0].sources[0]: must be a text",
        "trunks[0].sources[1]: '10.0.0.300' does not appear",
        "trunks[0].sources[2]: 10.0.0.1/8 has host bits set",
        "trunks[0].caller_ranges[0]: '0664' is not 1 to 15 digits from the country code on",
        "trunks[0].caller_ranges[1]: '+43' is not 1 to 15 digits from the country code on",
        "trunks[0].caller_ranges[4]: '43 1' is not 1 to 15 digits from the country code on",
        "trunks[0].caller_ranges[5]: '4312345678901234' is not 1 to 15 digits from the country code on",
        "trunks[0].caller_ranges[2]: must be a text",
        "trunks[0].caller_ranges[3]: must be a text",
    ],
    "tenant: t1\naccounts: [{name: a}, {name: a, sell_deck: x}, {caps: []}]\nranges: [{b_range: '0882'}, {}]": [
        "accounts[1].name: 'a' is in the list already",
        "accounts[1].sell_deck: no deck 'x'",
        "accounts[2].name: is missing",
        "accounts[2].caps: must be a mapping of keys to values",
        "ranges[0].b_range: '0882' is not 1 to 15 digits",
        "ranges[1].b_range: is missing",
    ],
    (
        "tenant: t1\n"
        "decks: {r: {file: basic.csv, currency: euro}, s: {file: none.csv, currency: EUR}, t: {file: basic.csv}, "
        "u: 7}\n"
    ): [
        "decks.r.currency: 'euro' is not a code",
        "decks.s.file:",
        "decks.t.currency: is missing",
        "decks.u: must be a mapping",
    ],
    (
        "tenant: t1\n"
        "dial_plans: [{name: at, country_code: AT, short_max: -1, emergency: [1 1 2, 112, abc], trunk_prefix: x}]\n"
        "policy: {episode: -1s}"
    ): [
        "dial_plans[0].country_code: country code 'AT'",
        "dial_plans[0].short_max: must be >= 0",
        "dial_plans[0].emergency[0]: emergency number '1 1 2'",
        "dial_plans[0].emergency[2]: emergency number 'abc'",
        "dial_plans[0].trunk_prefix: trunk prefix 'x'",
        "policy.episode: '-1s' is not a length of time",
    ],
    (
        "tenant: t1\n"
        "carriers: [{name: c, buy_deck: no, caps: {calls_per_second: 3, money_day: lots}}]\n"
        "trunk_groups: [{name: g, caps: {calls_per_second: 1}}]"
    ): [
        "carriers[0].buy_deck: no deck 'no'",
        "carriers[0].caps.calls_per_second: counts incoming calls",
        "carriers[0].caps.money_day: 'lots' is not a decimal amount",
        "trunk_groups[0].caps.calls_per_second: counts incoming calls",
    ],
    (
        "tenant: t1\n"
        "carriers: [{name: c}]\n"
        "trunks:\n"
        "- {name: a, carrier: c, address: no host}\n"
        "- {name: b, carrier: c, address: '192.0.2.1:99999'}\n"
        "- {name: d, carrier: c, address: ':5060'}\n"
        "- {name: e, carrier: c, address: 'sip:192.0.2.1'}\n"
        "- {name: f, carrier: c, address: '192.0.2.1:5060;transport=tcp'}\n"
        "- {name: g, carrier: c, address: '2001:db8::1:5060'}\n"
        "- {name: h, carrier: c, address: '192.0.2.300:5060'}\n"
        "- {name: i, carrier: c, address: 'gw.example:5060', prefix: '00 43'}\n"
        "- {name: j, carrier: c, address: '[2001:db8::1]:5060', prefix: '7001#'}\n"
        "portability:\n"
        "- {name: p, kind: enum, zone: e164.arpa, server: 'dns.example:53'}\n"
        "- {name: q, kind: enum, zone: e164 arpa}\n"
        "- {name: r, kind: http, url: 'http://mnp example/{number}'}\n"
        "- {name: s, kind: http, url: 'http://mnp.example:8080/v1?n={number}'}\n"
        "legal_entities:\n"
        "- {name: one, iban: AT611904300234573202, bic: BKAU, legal: {email: 'a@x.example, b@x.example'}}\n"
        "- {name: two, iban: AT61 1904 3002 3457 3201, bic: BKAUATWW, legal: {email: billing@x.example}}"
    ): [
        "trunks[0].address: 'no host' has no port: write HOST:PORT",
        "trunks[1].address: '192.0.2.1:99999' has no port from 1 to 65535",
        "trunks[2].address: '' in ':5060' is not an address or a name",
        "trunks[3].address: 'sip:192.0.2.1' has no port from 1 to 65535",
        "trunks[4].address: '192.0.2.1:5060;transport=tcp' has no port from 1 to 65535",
        "trunks[5].address: '2001:db8::1:5060' has no port: write HOST:PORT",
        "trunks[6].address: Octet 300 (> 255) not permitted in '192.0.2.300'",
        "trunks[7].prefix: '00 43' is not 1 to 16 letters, digits, * # +",
        "portability[0].server: 'dns.example' in 'dns.example:53' is not an IP address",
        "portability[1].zone: 'e164 arpa' is no zone of numbers",
        "portability[2].url: 'http://mnp example/{number}' must be an address",
        "legal_entities[0].iban: 'AT611904300234573202' cannot be an IBAN",
        "legal_entities[0].bic: 'BKAU' cannot be a BIC",
        "legal_entities[0].legal.email: 'a@x.example, b@x.example' is no address",
    ],
    "tenant: t1\naccounts: [{name: []}]\ntrunks: [{name: t, account: acme, carrier: omega}]": [
        "accounts[0].name: must be one value",
        "trunks[0].carrier: no carrier 'omega'",
    ],
}  # fmt: skip


@pytest.mark.parametrize("text", ALL_AT_ONCE)
def test_faults_of_form_and_of_content_are_reported_together_each_once(tmp_path: Path, text: str):
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / "basic.csv").write_text("prefix,price_per_min\n43,0.025\n")
    with pytest.raises(Wrong) as wrong:
        publishing.check(tmp_path / "config.yaml")
    reported = wrong.value.faults
    for start in ALL_AT_ONCE[text]:
        assert sum(fault.startswith(start) for fault in reported) == 1, (start, reported)
    left = [fault for fault in reported if not any(fault.startswith(start) for start in ALL_AT_ONCE[text])]
    assert [fault for fault in left if ".tenant: is missing" not in fault] == []


SEVERAL = """
tenants:
  t1:
    decks: {retail: {file: a.csv, currency: EUR, written: {decimal: ","}}}
    accounts: [{name: acme, sell_deck: retail, caps: {money_hour: 0.5}, first_seen_destination: yes}]
    trunks: [{name: in, account: acme, max_call: 90m, sources: [192.0.2.1, "2001:db8::/32"]}]
    policy: {order_ttl: 2h, units: {IDR: 17500}, detectors: {burst: {half_life: 10m}}}
  t2:
    agreements:
    - {name: a, role: buy, currency: USD, time_zone: Asia/Jakarta, cycle: weekly, plan: [{deck: x, from: "2026-01-01", until: 2026-02-01T06:30}]}
    ranges: [{b_range: "882", caps: {calls_per_second: 3}}]
    dial_plans: [{name: id, country_code: 62, trunk_prefix: 0, bare_is_e164: no, short_max: 4}]
"""


def test_what_is_written_reads_to_the_same():
    first, faults = read(SEVERAL)
    assert faults == [] and list(first.tenants) == ["t1", "t2"]
    text = render(first.config, first.decks, list(first.tenants))
    second, faults = read(text)
    assert faults == [] and second.config == first.config and second.decks == first.decks
    assert render(second.config, second.decks, list(second.tenants)) == text
    (span,) = first.config.agreements[0].plan
    assert (span.from_at_ms, span.until_at_ms) == (1_767_200_400_000, 1_769_902_200_000), "in Jakarta, seven hours before UTC"


@pytest.mark.parametrize(
    ("was", "wrong", "faults"),
    [
        ("  t2:", "  t|2:", ["tenants.t|2: 't|2' is no tenant's name: letters, digits, . _ -, at most 64"]),
        ("90m", "soon", ["tenants.t1.trunks[0].max_call: 'soon' is not a length of time: write 30s, 15m, 4h, 7d or 1h30m"]),
        ("half_life", "half_live", ["tenants.t1.policy.detectors.burst.half_live: there is no such key; half_life?"]),
        ("{name: in,", "{nam: in,", ["tenants.t1.trunks[0].name: is missing", "tenants.t1.trunks[0].nam: there is no such key; name?"]),
        ("agreements:\n    - {", "agreements: {", ["tenants.t2.agreements: must be a list, as in [a, b]"]),
        ("decimal:", "decimals:", ["tenants.t1.decks.retail.written.decimals: there is no such key; decimal?"]),
    ],
)
def test_a_fault_of_one_of_several_tenants_has_its_place(was: str, wrong: str, faults: list[str]):
    assert was in SEVERAL
    assert read(SEVERAL.replace(was, wrong, 1))[1] == faults


@pytest.mark.parametrize("text", ["- a", "a", "", "tenants: {}", "tenants: [t1]", "tenant: [t1]", "tenant:"])
def test_a_file_without_a_tenant_is_refused(text: str, tmp_path: Path):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(Wrong):
        publishing.check(tmp_path / "config.yaml")


RATING = """\
tenant: t1
decks:
  retail: {file: d.csv, currency: EUR}
  alpha: {file: d.csv, currency: USD}
holidays: [{name: at, dates: [2026-12-25, 2026-12-26]}]
fx_rates: [{name: USD-EUR, source: ECB, rates: {2026-11-27: "0.95"}}]
agreements:
  - {name: a, role: sell, currency: EUR, time_zone: Europe/Vienna, rounding: up, decimals: 4, price_change: split, rated_number: lrn,
     duration_rounding: up, duration_unit: 100ms, tax: inclusive, plan: [{deck: retail}]}
  - {name: b, role: buy, currency: EUR, plan: [{deck: alpha}]}
"""


@pytest.mark.parametrize(
    ("was", "becomes", "fault"),
    [
        ("", "", None),
        ("name: at,", "name: de,", r"decks\.(retail|alpha): a window names the holiday list 'at', which is not in holidays"),
        ("2026-12-25,", "25.12.,", r"holidays\[0\]\.dates\[0\]: '25\.12\.' is no date: write 2026-12-25"),
        ("USD-EUR", "USD-GBP", r"deck 'alpha' is in USD and the agreement in EUR: add a rate USD-EUR to fx_rates"),
        ("USD-EUR", "dollars", r"fx_rates\[0\]\.name: 'dollars' must be two currencies, as USD-EUR"),
        ('"0.95"', '"-1"', r"fx_rates\[0\]\.rates\.2026-11-27: '-1' must be a decimal number > 0"),
        ("decimals: 4", "decimals: 10", r"agreements\[0\]\.decimals: must be 0 to 9 decimals"),
        ("duration_unit: 100ms", "duration_unit: 300ms", r"agreements\[0\]\.duration_unit: must be a second or a whole part of one"),
        ("price_change: split", "price_change: never", r"agreements\[0\]\.price_change: 'never' is none of call_start, increment_start, split"),
    ],
)
def test_how_an_agreement_applies_its_decks(tmp_path: Path, was: str, becomes: str, fault: str | None):
    (tmp_path / "d.csv").write_text("prefix,price_per_min,window\n43,0.06,holiday:AT\n")
    file = tmp_path / "config.yaml"
    file.write_text(RATING.replace(was, becomes))
    if fault is None:
        agreements = publishing.check(file).config.agreements
        assert (agreements[0].decimals, agreements[0].price_change, agreements[0].rated_number) == (4, "split", "lrn")
        return
    with pytest.raises(Wrong, match=fault):
        publishing.check(file)
