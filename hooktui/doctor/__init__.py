"""Checks the state of an installation; ``rules`` decides what each value means."""
