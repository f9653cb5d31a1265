"""The live log: its screen, its widget and its columns."""
