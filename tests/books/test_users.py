"""Users: a password is stored as a hash alone, a role holds for a tenant, and every change is in the audit log."""

from __future__ import annotations

import pytest

from books import audit, migrate, open_books, reading, tenants, users, writing

PASSWORD = "correct horse battery"


@pytest.fixture
def engine(books_dsn):
    engine = open_books(books_dsn)
    migrate(engine)
    with writing(engine) as conn:
        tenants.add(conn, "t1", 0)
    yield engine
    engine.dispose()


def test_a_password_is_verified_by_its_hash_and_no_other_fits(engine):
    with writing(engine) as conn:
        users.add(conn, "anna", PASSWORD, "admin", "new", 1)
        users.add(conn, "oidc", "", "admin", "new", 1)
        stored = users.stored_hash(conn, "anna")
        assert stored.startswith("$argon2id$") and PASSWORD not in stored
        assert users.fits(stored, PASSWORD)
        for wrong in ("", "correct horse batterY", PASSWORD + " "):
            assert not users.fits(stored, wrong)
        assert not users.fits(users.stored_hash(conn, "oidc"), "") and not users.fits(users.stored_hash(conn, "nobody"), PASSWORD)
        users.set_disabled(conn, "anna", True, "admin", "left", 2)
        assert not users.fits(users.stored_hash(conn, "anna"), PASSWORD)


def test_sessions_from_before_a_new_password_are_over(engine):
    with writing(engine) as conn:
        users.add(conn, "anna", PASSWORD, "admin", "new", 1)
        users.set_password(conn, "anna", PASSWORD + "2", "admin", "forgotten", 70_000)
        assert users.find(conn, "anna").sessions_from_ms == 70_000


@pytest.mark.parametrize(
    ("name", "password", "wrong"),
    [
        ("anna huber", PASSWORD, "no user name"), ("", PASSWORD, "no user name"), ("%'; --", PASSWORD, "no user name"),
        ("anna", "short", "12 to 1000"), ("anna", "x" * 1_001, "12 to 1000"), ("known", PASSWORD, "already"),
    ],
)  # fmt: skip
def test_a_bad_name_or_password_adds_nobody(engine, name: str, password: str, wrong: str):
    with writing(engine) as conn:
        users.add(conn, "known", PASSWORD, "admin", "new", 1)
        with pytest.raises(ValueError, match=wrong):
            users.add(conn, name, password, "admin", "new", 1)
        assert [user.name for user in users.every(conn)] == ["known"]


def test_roles_are_given_and_taken_once_and_each_change_is_audited(engine):
    with writing(engine) as conn:
        users.add(conn, "anna", PASSWORD, "admin", "new", 1)
        assert users.set_role(conn, "anna", "t1", "analyst", True, "admin", "team", 2)
        assert not users.set_role(conn, "anna", "t1", "analyst", True, "admin", "team", 3), "a repeat is harmless"
        assert users.set_role(conn, "anna", "", "finance", True, "admin", "team", 4)
        assert users.find(conn, "anna").roles == (("", "finance"), ("t1", "analyst"))
        assert users.set_role(conn, "anna", "", "finance", False, "admin", "over", 5)
        for name, tenant, role in (("anna", "t1", "king"), ("anna", "t9", "analyst"), ("ben", "t1", "analyst")):
            with pytest.raises(ValueError, match="there is no"):
                users.set_role(conn, name, tenant, role, True, "admin", "w", 6)
    with reading(engine) as conn:
        lines = [(one.verb, one.subject) for one in audit.last(conn)]
    assert lines == [
        ("took a role", "anna: finance for every tenant"), ("gave a role", "anna: finance for every tenant"),
        ("gave a role", "anna: analyst for t1"), ("added a user", "anna"),
    ]  # fmt: skip
