"""Screens, texts and columns of hooks."""
