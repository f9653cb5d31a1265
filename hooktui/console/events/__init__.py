"""Screens, texts and columns of events."""
