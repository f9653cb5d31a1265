"""Hook types: each module builds the requests of one type."""
