"""The engine, which claims, sends and records; and the only outbound sockets."""
