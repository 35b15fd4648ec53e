"""The command: it alone reads the environment, builds the settings and hands them on."""
