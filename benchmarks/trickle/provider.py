"""A provider that speaks EPay v1 like any other, until it trickles."""

import asyncio
import json
import re
from contextlib import suppress
from urllib.parse import urlsplit

PAUSE = 1.0  # seconds between two bytes


class TricklingProvider:
    """Knows of no payment and takes none. While it `trickles`, every call gets one byte of a header each
    second for as long as it likes to wait.
    """

    def __init__(self) -> None:
        self.trickles = False
        self.calls = 0  # while trickling
        self.most_held = 0  # connections held at one moment
        self._held = 0
        self.port = 0

    async def __aenter__(self) -> "TricklingProvider":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                if length := re.search(r"(?im)^content-length: *(\d+)", head):
                    await reader.readexactly(int(length[1]))
                if self.trickles:
                    await self._trickle(writer)
                    break
                writer.write(_answer(head.split(" ")[1]))
                await writer.drain()
        writer.close()

    async def _trickle(self, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        self._held += 1
        self.most_held = max(self.most_held, self._held)
        try:
            writer.write(b"HTTP/1.1 200 OK\r\nX-Padding: ")
            while self.trickles and not writer.is_closing():
                writer.write(b".")
                await writer.drain()
                await asyncio.sleep(PAUSE)
        finally:
            self._held -= 1


def _answer(target: str) -> bytes:
    asked = urlsplit(target)
    if asked.path.endswith("mapi.php"):
        said: object = {"code": 1, "payurl": "http://127.0.0.1:9/pay/1"}
    elif "act=orders" in asked.query:
        said = {"code": 1, "data": []}
    else:
        said = {"code": -1, "msg": "no such order"}
    body = json.dumps(said).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
