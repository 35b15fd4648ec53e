"""Somebody is told of alerts and of silence: by e-mail, signed webhook or chat."""
