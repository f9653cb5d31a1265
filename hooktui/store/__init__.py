"""The store: one contract, two databases, and what they share."""
