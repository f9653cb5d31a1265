"""The Textual app; a client of the server."""
