"""JSON exports: pages, nested arrays, and damage. Each object is read or reported, and `received` is never smaller than the number of objects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switches.files.mapping import MappingError, read_mapping
from switches.files.records import Row, read_rows

COLUMNS = "columns: {call_id: id, account: acct, b_number: dst, answer: start, duration_s: secs}\n"
DAMAGED = '{"id": "bad", "acct": "acme", "dst": "43664111222", "start": "2026-03-02T09:00:00Z", "secs": 06}'


def call(n: object) -> str:
    return json.dumps({"id": f"c{n}", "acct": "acme", "dst": "43664111222", "start": "2026-03-02T09:00:00Z", "secs": 60})


def rows(tmp_path: Path, text: str, mapping: str) -> list[Row]:
    file = tmp_path / "calls.json"
    file.write_text(text)
    return list(read_rows(file, read_mapping(mapping + COLUMNS, "map.yaml")))


def ids(found: list[Row]) -> list[str]:
    return [row.record.call_id if row.record else "-" for row in found]


C = [call(n) for n in range(6)]


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        (f'{{"page":0,"calls":[{C[0]},{C[1]}]}}\n{{"page":1,"calls":[{C[2]}]}}\n', "calls", "c0 c1 c2"),
        (f'{{"page":0,"calls":[{C[0]}]}}{{"page":1,"calls":[{C[1]}],"more":false}}', "calls", "c0 c1"),
        (f'[{{"data":{{"calls":[{C[0]}]}}}},{{"data":{{"calls":[{C[1]},{C[2]}]}}}}]', "data.calls", "c0 c1 c2"),
        (f'{{"data":[{{"calls":[{C[0]}]}},{{"calls":[{C[1]}]}}]}}', "data.calls", "c0 c1"),
        (f'{{"filter":{{"calls":[]}},"calls":[{C[0]},{C[1]}]}}', "calls", "c0 c1"),
        (f'{{"filter":{{"calls":[{C[3]}]}},"calls":[{C[0]}]}}', "calls", "c0"),
        (f'{{"note":"\\"calls\\": [1]","calls":[{C[0]}]}}', "calls", "c0"),
        (f'{{"calls":[{C[0]}],"next":{{"calls":"/2"}}}}\n\n{{"calls":[]}}\n{{"calls":null}}\n{{"calls":[{C[1]}]}}', "calls", "c0 c1"),
        (f'{{"a":{{"b":{{"calls":[{C[0]}]}}}}}}\n{{"a":{{"b":{{"calls":[{C[1]}]}}}}}}', "a.b.calls", "c0 c1"),
        (f'\x1e{{"calls":[{C[0]}]}}\n\x1e{{"calls":[{C[1]}]}}\n', "calls", "c0 c1"),
        # what is damaged costs itself, what is behind it is read
        (f'{{"page":00,"calls":[{C[0]}]}}\n{{"page":1,"calls":[{C[1]}]}}', "calls", "- c0 c1"),
        (f'{{"calls":[{C[0]},{C[1]}', "calls", "c0 c1 -"),
        (f'{{"calls":[{C[0]},{C[1]}}}\n{{"calls":[{C[2]}]}}', "calls", "c0 c1 - c2"),
        (f'{{"calls":[{C[0]},{DAMAGED}]}}\n{{"calls":[{C[1]}]}}', "calls", "c0 - c1"),
        (f'{{"calls":[{DAMAGED},{C[0]}]}}\n{{"calls":[{DAMAGED}]}}\n{{"calls":[{C[1]}]}}', "calls", "- c0 - c1"),
        (f'{{"calls":[{C[0]}]}}\n{{"error":"busy"}}\n{{"calls":[{C[1]}]}}', "calls", "c0 - c1"),
        (f'{{"calls":[{C[0]}]}}\n{{"calls":"none"}}\n{{"calls":[{C[1]}]}}', "calls", "c0 - c1"),
        (f'{{"calls":[{C[0]},xyz,{C[1]},{C[2]}]}}', "calls", "c0 - c1 c2"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", ["json", "jsonl"])
def test_every_array_of_every_page_is_read(text, path, expected, how, tmp_path):
    assert ids(rows(tmp_path, text, f"format: {how}\nrows: {path}\n")) == expected.split()


@pytest.mark.parametrize("text", ['{"data": []}', "[]", "{}", '{"page": 1}\n{"page": 2}', '{"other": {"calls": [1]}}', ""])
def test_a_file_without_the_array_is_refused(text, tmp_path):
    with pytest.raises(MappingError, match="there is no calls in the file"):
        rows(tmp_path, text, "format: json\nrows: calls\n")


def test_rows_that_lie_inside_are_named_where_the_mapping_does_not_say_it(tmp_path):
    text = f'{{"page":0,"calls":[{C[0]}]}}\n{{"page":1,"calls":[{C[1]}]}}\n'
    for how in ("json", "jsonl"):
        assert {row.fault for row in rows(tmp_path, text, f"format: {how}\n")} == {
            "this object has the rows in an array: set rows: calls in the mapping"
        }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (C[0] + DAMAGED + C[1] + C[2], "c0 - c1 c2"),
        (DAMAGED + C[0], "- c0"),
        (C[0] + "\n" + DAMAGED + C[1] + C[2] + "\n" + C[3], "c0 - c1 c2 c3"),
        (C[0] + " " + DAMAGED + " " + DAMAGED + " " + C[1], "c0 - - c1"),
        (C[0] + DAMAGED.replace("06}", '06, "list": [{"x": 1}, {"y": 2}]}') + C[1], "c0 - c1"),
        (C[0] + DAMAGED.replace("06}", "6") + C[1], "c0 - c1"),
        (C[0] + "," + DAMAGED + "," + C[1], "c0 - c1"),
        (C[0] + C[1] + "\n" + C[2] + C[3], "c0 c1 c2 c3"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", ["json", "jsonl"])
def test_of_objects_behind_each_other_a_damaged_one_costs_itself(text, expected, how, tmp_path):
    assert ids(rows(tmp_path, text, f"format: {how}\n")) == expected.split()


@given(
    st.lists(st.lists(st.booleans(), max_size=4), min_size=1, max_size=5), st.sampled_from(["\n", "", " ", "\r\n", ",\n"]),
    st.booleans(), st.booleans(),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_whatever_is_damaged_in_pages_every_object_is_read_or_named(tmp_path_factory, pages, between, in_array, deep):
    good, texts = [], []
    for page, damaged in enumerate(pages):
        calls = [DAMAGED if bad else call(f"{page}-{n}") for n, bad in enumerate(damaged)]
        good += [f"c{page}-{n}" for n, bad in enumerate(damaged) if not bad]
        array = f'{{"calls": [{", ".join(calls)}], "n": {page}}}'
        texts.append(f'{{"data": {array}}}' if deep else array)
    text = f"[{','.join(texts)}]" if in_array else between.join(texts)
    found = rows(tmp_path_factory.mktemp("pages"), text, f"format: json\nrows: {'data.' if deep else ''}calls\n")
    assert [one for one in ids(found) if one != "-"] == good
    assert len(found) == sum(map(len, pages))
