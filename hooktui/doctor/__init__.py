"""Checks the state of an installation; ``domain.checks`` decides what each value means."""
