"""The OpenAPI document of the API, made from the types that its bodies are read and written by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from api.alerts import Alert, AskedVerdict, GivenVerdict
from api.lists import AskedEntry, Changed
from services.asking import Answered, AskedRoute, AskedScreen, Screened


class Error(msgspec.Struct, frozen=True):
    """What is wrong, and what to do."""

    error: str


class Health(msgspec.Struct, frozen=True):
    """`ready`: a config is published, and the books answer."""

    ready: bool


class Path(NamedTuple):
    """`scope` of the key: "" = no key is needed. `query`: name -> what it is."""

    method: str
    path: str
    scope: str
    about: str
    body: Any
    answer: Any
    query: Mapping[str, str] = MappingProxyType({})


FAULTS = {
    "400": "the body or the query", "401": "the key", "403": "the key's address, tenant, scope or expiry", "404": "the tenant has no such alert",
    "503": "the books do not answer",
}  # fmt: skip
TENANT = {"tenant": "one of the key's; needed where it has several"}
PATHS = (
    Path("post", "/v1/route", "route", "over which gateways a call is tried", AskedRoute, Answered),
    Path("post", "/v1/screen", "route", "whether a call may go at all", AskedScreen, Screened),
    Path("get", "/v1/lists", "lists", "the allow and deny lists", None, list[dict[str, Any]], TENANT),
    Path("post", "/v1/lists", "lists", "adds to a list, or removes from it", AskedEntry, Changed),
    Path("get", "/v1/alerts", "alerts", "the newest alerts, what still passes first", None, list[Alert], TENANT | {"limit": "1 to 1,000; 100"}),
    Path("get", "/v1/alerts/{finding_id}", "alerts", "one alert", None, Alert, TENANT),
    Path("post", "/v1/alerts/{finding_id}/verdict", "verdicts", "what an alert was; the same again changes nothing", AskedVerdict, GivenVerdict),
    Path("get", "/v1/health", "", "whether it can answer", None, Health),
)


def document() -> dict[str, Any]:
    """The document, as `GET /v1/openapi.json` gives it.

    >>> sorted(document()["paths"]["/v1/alerts/{finding_id}/verdict"]["post"]["responses"])
    ['200', '400', '401', '403', '404', '503']
    """
    types = [Error, *(found for one in PATHS for found in (one.body, one.answer) if found is not None)]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    of = dict(zip(map(repr, types), schemas, strict=True))

    def json(of_type: Any) -> dict[str, Any]:
        return {"content": {"application/json": {"schema": of[repr(of_type)]}}}

    paths: dict[str, Any] = {}
    for one in PATHS:
        found: dict[str, Any] = {"summary": one.about, "responses": {"200": {"description": "done", **json(one.answer)}}}
        if one.scope:
            wrong = {name: text for name, text in FAULTS.items() if name != "404" or "{" in one.path}
            found["responses"] |= {code: {"description": text, **json(Error)} for code, text in wrong.items()}
            found |= {"security": [{"key": []}], "description": f"Needs a key with the scope `{one.scope}`."}
        if one.body is not None:
            found["requestBody"] = {"required": True, **json(one.body)}
        found["parameters"] = [
            *({"name": name, "in": "query", "description": text, "schema": {"type": "string"}} for name, text in one.query.items()),
            *({"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string"}} for part in one.path.split("/") if part[:1] == "{"),
        ]
        paths.setdefault(one.path, {})[one.method] = found
    return {
        "openapi": "3.1.0", "info": {"title": "Ringfence", "version": "1"}, "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }  # fmt: skip
