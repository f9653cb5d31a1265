"""Objects of the HTTP API, shared by the server and its clients.

Field names and meanings are those of the contract. Times are RFC 3339 UTC with milliseconds; ids of
events and deliveries are their public text, ids of hooks and accounts integers. A server builds
them from rows; a client reads them back with ``msgspec.convert``, which ignores unknown fields, so
that an older console can talk to a newer server.
"""
