"""Where events come from besides the API."""
