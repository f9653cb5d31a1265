"""The server: builds its parts, runs them, and stops them in the right order."""
