"""Services that screens use: connection, calls, change feed, preferences, saved state, terminal."""
