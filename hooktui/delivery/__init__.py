"""The engine: claim, send, record; and the only outbound sockets."""
