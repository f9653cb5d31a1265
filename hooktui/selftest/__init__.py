"""The crash test: kills servers while they accept events, and accounts for every event."""
