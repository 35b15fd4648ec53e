"""Alembic's scripts, inside the package: an installed Ringfence migrates itself."""
