"""The published JSON schema is that of the records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.record import Record

PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas" / "record.v2.json"


def json_schema() -> dict[str, Any]:
    """The JSON schema of version 2, as published in `docs/schemas/record.v2.json`."""
    schema = msgspec.json.schema(Record)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Ringfence call record, version 2"
    return schema


def test_the_published_schema_is_that_of_the_records():
    """A field may be added at the end with a default; what is published then is `json.dumps(json_schema(), indent=2)`."""
    assert json.loads(PUBLISHED.read_text()) == json_schema()


def test_the_identity_of_a_delivery_and_of_a_leg_is_in_version_2():
    properties = json_schema()["$defs"]["Record"]["properties"]
    assert {"v", "boot_id", "seq", "setup_boot_id", "dialog_id", "root_id", "leg", "tenant"} <= properties.keys()
    assert properties["v"] == {"enum": [2]}


def test_another_version_is_refused():
    with pytest.raises(msgspec.ValidationError, match=r"\$\.v"):
        msgspec.json.decode(b'{"v":3,"event":"stop","switch":"k1","at_ms":1700000000000}', type=Record)


def test_an_unknown_field_is_ignored():
    record = msgspec.json.decode(b'{"v":2,"event":"stop","switch":"k1","at_ms":0,"colour":"red"}', type=Record)
    assert record.switch == "k1"
