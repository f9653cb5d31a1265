"""SQLModel tables, migrations and every query."""
