"""Plans for both databases: pure functions that decide which rows a call writes."""
