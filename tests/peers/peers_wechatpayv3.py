"""What both SDK test files need: constructor arguments for a merchant, and an endpoint that keeps notices."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from tael_sandbox import MerchantView


def settings(merchant: MerchantView, *, kind: str, notify_url: str) -> dict[str, object]:
    """Constructor arguments of the SDK. ``kind``: ``public_key`` or ``certificate``."""
    said: dict[str, object] = {
        "mchid": merchant.mchid,
        "private_key": merchant.private_key_pem,
        "cert_serial_no": merchant.serial,
        "appid": merchant.appid,
        "apiv3_key": merchant.apiv3_key,
        "notify_url": notify_url,
    }
    if kind == "public_key":
        said |= {"public_key": merchant.public_key_pem, "public_key_id": merchant.public_key_id}
    return said


@dataclass
class Notices:
    """A merchant's notice endpoint; keeps (headers, body) as the SDK's ``callback`` wants them."""

    url: str = ""
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    _check: Callable[[dict[str, str], bytes], object] = lambda headers, body: True

    @classmethod
    @contextlib.asynccontextmanager
    async def listening(cls) -> AsyncGenerator["Notices"]:
        notices = cls()
        server = await asyncio.start_server(notices._converse, "127.0.0.1", 0)
        notices.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/notice"
        try:
            yield notices
        finally:
            server.close()

    def refuse_unless(self, check: Callable[[dict[str, str], bytes], object]) -> None:
        """Answer 401 to a notice for which ``check`` gives nothing."""
        self._check = check

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(line.split(": ", 1) for line in head[1:] if line)
                body = await reader.readexactly(int(headers["content-length"]))
                self.heard.append((headers, body))
                status = 204 if self._check(headers, body) else 401
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
