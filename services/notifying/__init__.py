"""Messages about alerts and about silence, by e-mail, signed webhook or chat."""
