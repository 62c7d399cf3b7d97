"""Asking the control interface from Python, the same for a sandbox in this process and for one in another."""

import ssl
from typing import TypeVar

import httpx2
import msgspec

_T = TypeVar("_T")


class Refused(Exception):
    """The control interface said no; ``status`` is 400, 404 or 409."""

    def __init__(self, status: int, text: str) -> None:
        """Keep what was answered."""
        self.status = status
        super().__init__(f"{status}: {text}")


class Remote:
    """A line to the control interface of the sandbox at ``base_url``."""

    def __init__(self, base_url: str) -> None:
        """Connect when first asked."""
        # An empty trust store: only plain HTTP to this machine is spoken, and loading the real one takes 20 ms.
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._http = httpx2.AsyncClient(base_url=base_url, timeout=None, trust_env=False, verify=nobody)

    async def ask(self, method: str, name: str, kind: type[_T], said: object = None) -> _T:
        """Call ``/_sim/<name>`` with ``said`` as JSON and read the answer as ``kind``. Raises ``Refused``."""
        content = b"" if said is None else msgspec.json.encode(said)
        reply = await self._http.request(method, f"/_sim/{name}", content=content)
        if reply.status_code >= 400:
            raise Refused(reply.status_code, reply.text)
        return msgspec.json.decode(reply.content, type=kind)

    async def close(self) -> None:
        """Hang up."""
        await self._http.aclose()
