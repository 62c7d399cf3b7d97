"""From names to addresses, so that one slow name server cannot hold up the lookups of others.

The system's resolver blocks a thread for as long as a name server likes. Lookups therefore have threads of their own,
and all who ask for the same name wait for the same lookup: a name occupies one thread at most.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

_THREADS = 32


class Names:
    """Looks names up by this machine's resolver."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tael-names")
        self._under_way: dict[str, asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str) -> list[str]:
        """All addresses of a name, in the resolver's order. Raises `OSError` when there is none."""
        lookup = self._under_way.get(host)
        if lookup is None:
            lookup = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host)
            self._under_way[host] = lookup
            lookup.add_done_callback(lambda finished: self._forget(host, finished))
        # One caller giving up must not end the lookup that others wait for.
        return await asyncio.shield(lookup)

    def close(self) -> None:
        """Accept no more lookups; those under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _forget(self, host: str, finished: asyncio.Future[list[str]]) -> None:
        del self._under_way[host]
        if not finished.cancelled():
            finished.exception()  # everybody may have given up waiting for it


def _look_up(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
