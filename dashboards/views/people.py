"""Who may sign in, and with which roles: add, give, take, reset, disable. Of a tenant's users its admin sees the roles for that tenant alone."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import streamlit as st

from books import Connection, reading
from books.users import User
from core.roles import ROLES, manages
from dashboards import acting
from dashboards.figures import day
from dashboards.layout import answered, heading, message, quiet, title
from dashboards.tags import Safe, tag
from dashboards.tiles import table
from dashboards.visit import Visit
from services import people

PASSWORD_BYTES = 15
"""Of a password that is made here: 20 characters."""


def people_page(visit: Visit) -> None:
    if not visit.allowed("people"):
        return
    title("People", f"who may sign in, and with which roles for {visit.tenant or 'every tenant'}; every change is in the audit log")

    def read(_: object) -> list[User]:
        with reading(visit.sources.engine()) as conn:
            return people.every(conn)

    latest = visit.sources.asked(("people", visit.tenant), read, fresh_ms=2_000)
    if not answered(latest, visit.now_ms, "People") or latest.value is None:
        return
    found = [one for one in latest.value if roles_of(one, visit.tenant) or not visit.tenant]
    if visit.person.name:
        add(visit)
        if found:
            change(visit, found)
    if not found:
        quiet("Nobody has a role here: the pages open by the tokens of the first start alone.")
        return
    rows: list[tuple[str | Safe, ...]] = [(one.name, roles_text(one, visit.tenant), state(one), day(one.at_ms)) for one in found]
    st.html(table(("name", "roles", "state", "added"), rows, numbers_from=9))
    heading("Roles", "what each may do")
    roles: list[tuple[str | Safe, ...]] = [(role, ", ".join(sorted(rights))) for role, rights in ROLES.items()]
    st.html(table(("role", "rights"), roles, numbers_from=9))


def roles_of(one: User, tenant: str) -> list[tuple[str, str]]:
    """The roles that hold for a tenant; "" = all of them."""
    return [(of, role) for of, role in (*one.roles, *customer_of(one)) if not tenant or of in ("", tenant)]


def customer_of(one: User) -> list[tuple[str, str]]:
    """The customers whose portal a user opens, in the form of roles."""
    return [(tenant, f"customer {party}") for tenant, party in one.parties]


def roles_text(one: User, tenant: str) -> str:
    return ", ".join(f"{role} for {of or 'every tenant'}" for of, role in roles_of(one, tenant)) or "no role"


def state(one: User) -> Safe:
    text, cls = ("may sign in", "stands-good") if one.disabled_at_ms is None else (f"disabled {day(one.disabled_at_ms)}", "waits")
    return tag("span", text, cls=f"rf-badge {cls}")


def add(visit: Visit) -> None:
    """A new person with one role and a password that is shown once."""
    with st.popover("Add a person"), st.form("rf_person", border=False, clear_on_submit=True):
        name = st.text_input("Name", key="rf_person_name", max_chars=64, placeholder="letters, digits and . _ - + @")
        role = str(st.selectbox("Role", list(ROLES), key="rf_person_role"))
        elsewhere = st.checkbox("Signs in through OIDC: no password", key="rf_person_oidc")
        why = st.text_input("Reason", key="rf_person_why", max_chars=500)
        if not st.form_submit_button("Add", key="rf_person_do", type="primary"):
            return
        password = "" if elsewhere else secrets.token_urlsafe(PASSWORD_BYTES)
        done = f"{name.strip()} may sign in as {role}" + (f", with the password {password} : it is not shown again." if password else ".")
        act(visit, why, lambda conn: people.add(conn, name.strip(), password, [role], visit.tenant, visit.person.name, why, visit.now_ms), done)


def change(visit: Visit, found: list[User]) -> None:
    """Roles, password and state of one who is there."""
    with st.popover("Change a person"):
        name = st.selectbox("Name", [one.name for one in found], key="rf_change_name", index=None, placeholder="who")
        one = next((each for each in found if each.name == name), None)
        if one is None:
            return
        who, now_ms = visit.person.name, visit.now_ms
        why = st.text_input("Reason", key="rf_change_why", max_chars=500)
        role = str(st.selectbox("Role", list(ROLES), key="rf_change_role"))
        scope = visit.tenant or "every tenant"
        if st.button(f"Give the role for {scope}", key="rf_change_give"):
            done = f"{one.name} has the role {role}."
            act(visit, why, lambda conn: people.set_role(conn, one.name, visit.tenant, role, True, who, why, now_ms), done)
        if st.button(f"Take the role for {scope}", key="rf_change_take"):
            if one.name == who:
                message("Nothing was changed: another admin takes your own roles.")
            else:
                act(visit, why, lambda conn: people.set_role(conn, one.name, visit.tenant, role, False, who, why, now_ms),
                    f"{one.name} no longer has the role {role}.")  # fmt: skip
        if visit.tenant:
            party = st.text_input("A customer, whose portal the person opens", key="rf_change_party", max_chars=128).strip()
            opens = (visit.tenant, party) in one.parties
            if party and st.button("Close the portal" if opens else "Open the portal", key="rf_change_portal"):
                act(visit, why, lambda conn: people.set_party(conn, one.name, visit.tenant, party, not opens, who, why, now_ms),
                    f"{one.name} {'no longer opens' if opens else 'opens'} the portal of {party}.")  # fmt: skip
        if not manages(visit.person.rights, (*one.roles, *one.parties)):
            quiet("This person has roles of other tenants too: who manages every tenant resets the password, or disables.")
            return
        if st.button("Reset the password", key="rf_change_reset"):
            password = secrets.token_urlsafe(PASSWORD_BYTES)
            act(visit, why, lambda conn: people.set_password(conn, one.name, password, who, why, now_ms),
                f"The new password of {one.name} is {password} : it is not shown again. Older sessions are over.", one)  # fmt: skip
        off = one.disabled_at_ms is None
        if one.name != who and st.button("Disable" if off else "Let sign in again", key="rf_change_disable"):
            act(visit, why, lambda conn: people.set_disabled(conn, one.name, off, who, why, now_ms),
                f"{one.name} is disabled; open pages close within seconds." if off else f"{one.name} may sign in again.", one)  # fmt: skip


def act(visit: Visit, why: str, do: Callable[[Connection], object], done: str, one: User | None = None) -> None:
    """Do it in one transaction. `one`: the person, looked at again in it: another admin may have given a role of another tenant meanwhile."""
    if not why.strip():
        message("Enter a reason: it is recorded in the audit log.")
        return

    def checked(conn: Connection) -> None:
        if one is not None:
            now = next(each for each in people.every(conn) if each.name == one.name)
            if not manages(visit.person.rights, (*now.roles, *now.parties)):
                raise PermissionError(f"{one.name} has roles of other tenants now")
        do(conn)

    if acting.act(visit, "people", checked, ("people",)):
        message(done, done=True)
