"""Keeps the parts running and observable: supervisor, heartbeats, health, telemetry, logs and redaction, secrets, ports."""
