"""Alipay's SDKs as clients of the simulator: each in a virtual environment of its own, because they share one name.

An environment is built once from a hashed requirements file and kept under ``.venv-peers``. A client is a process of
it that runs the SDK, unmodified, on commands from here: a line of JSON in, a line of JSON out. The test judges.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from notice_endpoint import NoticeEndpoint

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / ".venv-peers"


class NotInstalled(Exception):
    """The environment cannot be built here; the text says why."""


def environment(name: str) -> Path:
    """The Python of the environment for ``requirements/peer-<name>.txt``, built when missing. Raises
    ``NotInstalled``.
    """
    wanted = ROOT / "requirements" / f"peer-{name}.txt"
    place, stamp = FOLDER / name, hashlib.sha256(wanted.read_bytes()).hexdigest()
    python, done = place / "bin" / "python", place / "stamp"
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() or done.read_text() != stamp:
            _run(sys.executable, "-m", "venv", "--clear", str(place))
            pip = ("-m", "pip", "install", "--disable-pip-version-check", "--no-compile", "-q")
            _run(str(python), *pip, "--require-hashes", "-r", str(wanted))
            done.write_text(stamp)
    return python


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
    except subprocess.CalledProcessError as error:
        raise NotInstalled("\n".join(error.stderr.splitlines()[-5:])) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from error


class Raised(Exception):
    """The SDK raised; ``kind`` is the exception's class name."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        super().__init__(f"{kind}: {text}")


class Client:
    """One process that runs an SDK."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, python: Path, script: str, **settings: object) -> AsyncGenerator["Client"]:
        """Run ``script`` of this folder; ``settings`` are its first line."""
        process = await asyncio.create_subprocess_exec(
            str(python), str(Path(__file__).parent / script), limit=1 << 22,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        client = cls(process)
        try:
            await client._say(settings)
            yield client
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()

    async def ask(self, call: str, **said: object) -> object:
        """Run one call of the SDK. Raises ``Raised``."""
        await self._say({"call": call, "said": said})
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the client process ended"
        answer = json.loads(line)
        if "raised" in answer:
            raise Raised(answer["raised"], answer["text"])
        return answer["returned"]

    async def _say(self, said: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(said).encode() + b"\n")
        await self._process.stdin.drain()


class Ear(NoticeEndpoint):
    """A notice endpoint that keeps bodies. It answers the texts of ``script`` one after the other, then ``success``."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.script: list[str] = []

    def take(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        self.heard.append(body)
        return 200, self.script.pop(0) if self.script else "success"
