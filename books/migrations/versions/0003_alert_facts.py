"""What an alert knows as numbers, beside its words."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alerts", sa.Column("facts", sa.Text(), server_default="", nullable=False))
