"""Caps of a carrier, over all accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("carriers", sa.Column("caps", sa.Text(), server_default="{}", nullable=False))
