"""Commands that work on an installation without its server, and the doctor."""
