"""Two accounts of the same calls, compared: a carrier's bill against ours, a customer's claim against our invoice, one switch against another."""
