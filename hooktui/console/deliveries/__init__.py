"""Screens, texts and columns of deliveries and their attempts."""
