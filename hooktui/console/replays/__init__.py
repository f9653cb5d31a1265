"""Screens of replays: the list, one replay, and the form of a new one."""
