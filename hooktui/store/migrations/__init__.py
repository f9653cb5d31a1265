"""The history of the schema; alembic runs it, and only when a database is not at its head."""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""All revisions, oldest first; a test holds them to the scripts in ``versions``."""

HEAD = REVISIONS[-1]
