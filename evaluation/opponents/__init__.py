"""Other ways to find fraud, each in a file: what operators run today, and the textbook. Each gets its threshold from other seeds."""
