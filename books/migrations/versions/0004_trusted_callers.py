"""What a trunk is trusted for: ranges of callers, and calls to what means no number."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trunks", sa.Column("caller_ranges", sa.Text(), server_default="[]", nullable=False))
    op.add_column("trunks", sa.Column("accept_unreadable", sa.Boolean(), server_default=sa.false(), nullable=False))

