"""Screens of the engine and the doctor."""
