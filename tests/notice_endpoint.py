"""A merchant's notice endpoint on loopback, without a web framework: what it keeps and answers is its subclass's."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Self


class NoticeEndpoint:
    """Listens at `url` for one notice after the other."""

    url = ""

    @classmethod
    @contextlib.asynccontextmanager
    async def listening(cls) -> AsyncGenerator[Self]:
        """An endpoint on a free port, for as long as the block lasts."""
        endpoint = cls()
        server = await asyncio.start_server(endpoint._converse, "127.0.0.1", 0)
        endpoint.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/notice"
        try:
            yield endpoint
        finally:
            server.close()

    def take(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """Keep a notice, its headers named as they were sent; answers status and text."""
        raise NotImplementedError

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(line.split(": ", 1) for line in head[1:] if line)
                length = next(value for name, value in headers.items() if name.lower() == "content-length")
                status, text = self.take(headers, await reader.readexactly(int(length)))
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
