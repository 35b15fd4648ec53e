"""Is the money right, and is all of it there? Controls over what was received, stored and charged. Pure."""
