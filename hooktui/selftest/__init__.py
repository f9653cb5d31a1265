"""The crash test: servers are killed while events come in, and every event is accounted for."""
