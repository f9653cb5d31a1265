"""Where the receiver of a measurement listens."""

import asyncio
import socket

from hooktui.bench import sink


# Red when the port that is free at the first address must be free at all others.
async def test_a_port_that_is_taken_at_some_address_is_passed_over(monkeypatch):
    """The first port that the system hands out is taken at 127.0.0.9."""
    loop = asyncio.get_running_loop()
    create, ports = loop.create_server, []

    async def listening(protocol, hosts, port, **options):
        if isinstance(hosts, list) and not ports:
            ports.append(port)
            blocker.bind(("127.0.0.9", port))
            blocker.listen()
        return await create(protocol, hosts, port, **options)

    with socket.socket() as blocker:
        monkeypatch.setattr(loop, "create_server", listening, raising=False)
        port = await sink._listen_everywhere(asyncio.Protocol)
        assert ports
        assert port not in ports
