"""Number portability: where a number was ported to, from a table of our own, an HTTP service, or ENUM."""
