"""The socket that is listened on."""

import asyncio
import socket

from swin2sr_headless.service.server import bound


def test_no_packet_waits_for_an_acknowledgement():
    """Or each answer of two packets, a head and a picture, would take 40 ms more."""

    async def delays():
        found = asyncio.get_running_loop().create_future()

        async def accepted(_reader, writer):
            its = writer.get_extra_info("socket")
            found.set_result(its.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = bound("127.0.0.1", 0)
        async with await asyncio.start_server(accepted, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            result = await found
            writer.close()
        return result == 0

    assert not asyncio.run(delays())
