"""The routes of ``/v1``, by noun."""
