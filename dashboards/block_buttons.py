"""The buttons of a block. Their keys name the block, not the order: an order is issued again each minute, and a press must not be lost by that."""

from __future__ import annotations

import streamlit as st

from dashboards.books_view import Block
from dashboards.decision_dialog import RIGHT, Choice, choose
from dashboards.visit import Visit


def block_buttons(visit: Visit, one: Block) -> None:
    """The actions on a block that this person may take. The dialog asks for the reason."""
    verbs = {"approve": "Approve", "deny": "Deny"} if one.status == "waiting" else {"unblock": "Unblock"}
    with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        for verb, label in verbs.items():
            if not visit.could(RIGHT[verb], one.key.tenant):
                continue
            choice = Choice(verb, one.key, one.order.order.order_id)
            if st.button(label, key=f"rf_{verb}_{one.key.text()}", on_click=choose, args=(choice,)):
                st.rerun()
