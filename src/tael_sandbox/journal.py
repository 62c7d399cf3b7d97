"""The sandbox's own durable memory: one append-only file of events, synced to disk before anything is answered.

The sandbox is the second witness in fault tests, so it follows one rule: *nothing leaves the process before the
journal covers it*. An event is applied in memory and appended at once; a reply or a notice then waits for
``settled``. Whatever was appended while one sync ran goes out with the next, so a thousand payments a second need a
few hundred syncs.

    open -> replay what is there (a torn last line is cut off) -> append, append ... settled -> close
"""

import asyncio
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


class Journal:
    """An open journal file. One process, one event loop."""

    def __init__(self, descriptor: int) -> None:
        """Use ``Journal.open``."""
        self._descriptor = descriptor
        self._waiting: list[bytes] = []
        self._appended = 0
        self._durable = 0
        self._flight: asyncio.Task[None] | None = None
        self._disk = ThreadPoolExecutor(1, "sandbox-journal")

    @classmethod
    def open(cls, path: Path) -> tuple["Journal", list[bytes]]:
        """Open or create the file and return it with the whole lines it holds. Blocks; call it before serving.

        Raises BlockingIOError while another sandbox has it open.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise
        held = path.read_bytes()
        whole = held.rfind(b"\n") + 1
        if whole < len(held):
            os.ftruncate(descriptor, whole)
        return cls(descriptor), held[:whole].splitlines()

    def append(self, line: bytes) -> None:
        """Queue one event, a line without line breaks."""
        self._waiting.append(line)
        self._appended += 1

    async def settled(self) -> None:
        """Return when everything appended before this call is on disk.

        Raises OSError when the disk refuses, and from then on always: a line may be torn in the middle of the file.
        """
        target = self._appended
        while self._durable < target:
            if self._flight is None or (self._flight.done() and self._flight.exception() is None):
                self._flight = asyncio.create_task(self._write())
            await asyncio.shield(self._flight)

    async def close(self) -> None:
        """Write what waits and close the file."""
        try:
            await self.settled()
        finally:
            self._disk.shutdown()
            os.close(self._descriptor)

    async def _write(self) -> None:
        lines, self._waiting = self._waiting, []
        reached = self._appended
        await asyncio.get_running_loop().run_in_executor(self._disk, self._sync, b"\n".join(lines) + b"\n")
        self._durable = reached

    def _sync(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        os.fdatasync(self._descriptor)
