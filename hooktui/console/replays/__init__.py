"""Replays: their list, one of them, and the form of a new one."""
