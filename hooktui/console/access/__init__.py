"""Screens of accounts, tokens and the audit trail."""
