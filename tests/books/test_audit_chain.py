"""The audit log is a chain: whoever goes around the table is found."""

from __future__ import annotations

import pytest

from books import audit, migrate, open_books, reading, retention, writing


@pytest.fixture
def engine(tmp_path):
    engine = open_books(f"sqlite:///{tmp_path}/books.db")
    migrate(engine)
    with writing(engine) as conn:
        for number in range(1, 6):
            audit.note(conn, "ann", "blocked", f"account:{number}", "fraud", number * 86_400_000)
        for trigger in ("audit_no_update", "audit_no_delete"):
            conn.exec_driver_sql(f"DROP TRIGGER {trigger}")  # as somebody with the file could
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("deed", "found"),
    [
        ("select 1", []),
        ("update audit set who = 'bob' where id = 3", ["3 was changed"]),
        ("update audit set why = 'x', sha256 = 'y' where id = 3", ["3 was changed", "4 does not follow"]),
        ("delete from audit where id = 3", ["4 does not follow"]),
        ("delete from audit where id = 1", ["2 is not the first line"]),
        ("insert into audit select 99, at_ms, who, verb, subject, why, previous, sha256 from audit where id = 2", ["99 does not follow"]),
    ],
)
def test_a_change_behind_its_back_is_named(engine, deed, found):
    with writing(engine) as conn:
        conn.exec_driver_sql(deed)
    with reading(engine) as conn:
        faults = [f"{one.line} {one.fault}" for one in audit.broken(conn)]
    assert len(faults) == len(found) and all(fault.startswith(start) for fault, start in zip(faults, found, strict=True)), faults


def test_lines_that_retention_removed_are_no_fault(tmp_path):
    engine = open_books(f"sqlite:///{tmp_path}/books.db")
    migrate(engine)
    with writing(engine) as conn:
        for number in range(1, 6):
            audit.note(conn, "ann", "blocked", f"account:{number}", "fraud", number * 86_400_000)
        assert retention.remove_audit(conn, 10 * 86_400_000, 7, "ann") == 2
        assert list(audit.broken(conn)) == []
    engine.dispose()
