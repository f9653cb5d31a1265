"""Filters: parsed from text, matched in memory or in SQL."""
