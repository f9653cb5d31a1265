"""Measures how an installation is; what that means is said by ``domain.checks``."""
