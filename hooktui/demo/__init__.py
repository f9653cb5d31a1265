"""A temporary account with sample jobs and an unreliable receiver."""
