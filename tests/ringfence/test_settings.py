"""Settings: one file reads the environment, and .env.example documents every setting."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic_settings import SettingsError

from ringfence.ops.secrets import load_or_make, secrets_of
from ringfence.settings import SECRETS, Settings, example
from services.errors import ServiceError

ROOT = Path(__file__).parents[2]


def test_the_example_names_every_setting():
    assert (ROOT / ".env.example").read_text() == example()


def test_the_example_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The commented values are the defaults."""
    env = tmp_path / ".env"
    env.write_text("".join(line.removeprefix("# ") for line in example().splitlines(True) if line.startswith("# RINGFENCE_")))
    monkeypatch.chdir(tmp_path)
    assert Settings() == Settings(_env_file=None)  # type: ignore[call-arg]


def test_a_child_gets_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = Settings(home=tmp_path, tenant="acme", collector_port=0, snapshot_s=3.5)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings(_env_file=None) == settings  # type: ignore[call-arg]


def test_a_setting_out_of_range_is_an_error_with_its_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RINGFENCE_COLLECTOR_PORT", "99999")
    with pytest.raises(ValueError, match="collector_port"):
        Settings()


def test_secrets_are_made_once_and_are_their_owners(tmp_path: Path):
    first = load_or_make(tmp_path / "state")
    assert load_or_make(tmp_path / "state") == first
    assert stat.S_IMODE((tmp_path / "state" / "secrets.json").stat().st_mode) == 0o600
    assert len({*[getattr(first, name) for name in first.__struct_fields__]}) == len(SECRETS)
    assert set(first.__struct_fields__) == set(SECRETS), "each may be set, and so be a file"


def test_first_starts_at_once_agree_on_the_secrets(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:  # any part of an `up` may be the first
        made = set(pool.map(lambda _: load_or_make(tmp_path / "state"), range(16)))
    path = tmp_path / "state" / "secrets.json"
    assert made == {load_or_make(tmp_path / "state")}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and [one.name for one in path.parent.iterdir()] == ["secrets.json"]


def test_damaged_secrets_are_never_replaced(tmp_path: Path):
    load_or_make(tmp_path / "state")
    path = tmp_path / "state" / "secrets.json"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ServiceError, match=r"secrets\.json is damaged"):
        load_or_make(tmp_path / "state")
    assert len(path.read_bytes()) == 20, "it contains the key of judge's state"


def test_an_address_may_be_a_file_and_the_environment_takes_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "ringfence_books").write_text("postgresql://ringfence:s3ntinel@db/books\n")
    (tmp_path / "ringfence_dialog_secret").write_text("a-secret-of-a-file-and-long\n")
    (tmp_path / "ringfence_tenant").write_text("acme\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RINGFENCE_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("RINGFENCE_BOOKS", "")  # as a compose file passes an unset variable
    settings = Settings()
    assert (settings.books_dsn, settings.tenant) == ("postgresql://ringfence:s3ntinel@db/books", "acme")
    assert "s3ntinel" not in repr(settings) and "a-secret" not in str(settings)
    monkeypatch.setenv("RINGFENCE_BOOKS", "sqlite:////srv/books.db")
    assert Settings().books_dsn == "sqlite:////srv/books.db"
    made = secrets_of(settings.model_copy(update={"home": tmp_path / "home"}))
    assert made.dialog_secret == "a-secret-of-a-file-and-long" and len(made.hash_secret) > 16


def test_the_directory_of_secrets_may_be_named_in_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "ringfence_journal").write_text("files:///srv/journal")
    (tmp_path / ".env").write_text(f"RINGFENCE_SECRETS_DIR={tmp_path}/secrets\n")
    monkeypatch.chdir(tmp_path)
    assert Settings().journal_dsn == "files:///srv/journal"


def test_the_default_directory_of_secrets_is_that_of_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "ringfence_warehouse").write_text("https://rf:s3ntinel@ch:8443")
    monkeypatch.setattr("ringfence.settings.SECRETS_DIR", tmp_path)
    assert Settings(_env_file=None).warehouse_dsn == "https://rf:s3ntinel@ch:8443"  # type: ignore[call-arg]
    monkeypatch.setattr("ringfence.settings.SECRETS_DIR", tmp_path / "none")
    assert Settings(_env_file=None).warehouse == ""  # type: ignore[call-arg]


def test_a_wrong_directory_of_secrets_is_an_error_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RINGFENCE_SECRETS_DIR", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="RINGFENCE_SECRETS_DIR: there is no directory"):
        Settings(_env_file=None)  # type: ignore[call-arg]
    (tmp_path / "ringfence_books").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("RINGFENCE_SECRETS_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match=r"RINGFENCE_SECRETS_DIR: .* cannot be read: .*books"):
        Settings(_env_file=None)  # type: ignore[call-arg]


def test_an_error_about_a_secret_does_not_contain_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RINGFENCE_HASH_SECRET", "too-s3ntinel")
    with pytest.raises(ValueError, match="hash_secret") as refusal:
        Settings(_env_file=None)  # type: ignore[call-arg]
    assert "s3ntinel" not in str(refusal.value)


@pytest.mark.parametrize("value", ["*", "proxy.example.net", "10.0.0.0/33", "10.0.0.1;10.0.0.2", "10.0.0.5/24", "127.0.0.1, nonsense", "::g"])
def test_a_proxy_that_is_no_address_is_refused_at_start(value: str):
    with pytest.raises(ValueError, match="trusted_proxies"):
        Settings(trusted_proxies=value)


@pytest.mark.parametrize("name", ["carrier", "ask"])
def test_a_next_hop_is_a_host_and_a_port(name: str):
    with pytest.raises(ValueError, match=rf"{name}\n.*'gw.example' has no port"):
        Settings(**{name: "gw.example"})
    assert getattr(Settings(**{name: "gw.example:5060"}), name) == "gw.example:5060"


def test_proxies_are_addresses_and_networks_and_nobody_by_default():
    assert Settings().proxies == ()
    assert Settings(trusted_proxies=" 10.0.0.1 ,2001:db8::/32,").proxies == ("10.0.0.1", "2001:db8::/32")
