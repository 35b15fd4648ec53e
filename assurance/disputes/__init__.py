"""Differences that somebody is asked to pay back: which are worth a dispute, how it goes on, what proves it."""
