"""A sandbox to embed in a test or the demo, or to start as a process of its own that can be killed.

async with Sandbox.start(folder) as sim:            in this process, on this event loop
    ... sim.merchant ... await sim.pay(number) ...
async with SandboxProcess.start(folder) as sim:     another process; the same methods, and kill() / restart()
"""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
from msgspec import Struct

from tael_sandbox.alipay import control as alipay_control
from tael_sandbox.alipay.views import AlipayMerchantView, NewAlipayMerchant
from tael_sandbox.app import App
from tael_sandbox.bill99 import control as bill99_control
from tael_sandbox.bill99.views import Bill99MerchantView, NewBill99Merchant
from tael_sandbox.channels import Channels
from tael_sandbox.controls import Controls, First
from tael_sandbox.serving import listen, serving
from tael_sandbox.tunnel import Tunnel, tunnel
from tael_sandbox.wechat import control as wechat_control
from tael_sandbox.wechat.views import MerchantView, NewMerchant
from tael_sandbox.world import World

_BALANCE_MINOR = 100_000_00
_BILL99_BALANCE_MINOR = 1_000_000_00


class Ready(Struct, frozen=True):
    """The one line a sandbox process prints when it answers."""

    port: int
    base_url: str
    data_dir: str
    pid: int
    merchant: MerchantView
    alipay: AlipayMerchantView
    bill99: Bill99MerchantView

    @property
    def first(self) -> First:
        """The first merchants, as the controls want them."""
        return First(self.merchant, self.alipay, self.bill99)


class Sandbox(Controls):
    """A running sandbox in this process; ``world`` and ``channels`` are its inside, for tests of the sandbox itself."""

    def __init__(self, first: First, world: World, channels: Channels, app: App) -> None:
        """Use ``Sandbox.start``."""
        super().__init__(world.base_url, first)
        self.world = world
        self.channels = channels
        self._app = app

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        folder: Path,
        *,
        port: int = 0,
        seed: str | None = None,
        merchant: NewMerchant | None = None,
        notify_hosts: frozenset[str] = frozenset(),
    ) -> AsyncGenerator["Sandbox"]:
        """Serve on a loopback port while the block runs.

        ``folder`` keeps everything; a used one continues where it stopped. ``seed`` fixes all ids of a new folder,
        ``merchant`` describes its first merchant. ``notify_hosts``: hosts besides this machine that may be sent
        notices.
        """
        with contextlib.closing(listen(port)) as sock:
            world = World.open(folder, seed=seed, notify_hosts=notify_hosts)
            world.base_url = _base_url(sock)
            channels = Channels(world)
            world.begin(channels.all())
            first = await _first_merchants(channels, merchant)
            app = App(world, channels.all())
            sandbox = cls(first, world, channels, app)
            courier = asyncio.create_task(world.courier.run(world.attempt))
            try:
                async with serving(app, sock):
                    yield sandbox
            finally:
                await sandbox.hang_up()
                courier.cancel()
                await asyncio.wait([courier])
                await world.close()

    def tunnel(self) -> contextlib.AbstractAsyncContextManager[Tunnel]:
        """A CONNECT proxy and a TLS port for clients that only know the channel's real address."""
        return tunnel(self._app, self.world.folder / "tls")


class SandboxProcess(Controls):
    """A sandbox in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, ready: Ready) -> None:
        """Use ``SandboxProcess.start``."""
        super().__init__(ready.base_url, ready.first)
        self.port = ready.port
        self.pid = process.pid
        self._folder = Path(ready.data_dir)
        self._process = process

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, folder: Path, *, port: int = 0, seed: str | None = None) -> AsyncGenerator["SandboxProcess"]:
        """Start a process and wait until it answers; it is ended with the block."""
        process, ready = await _spawn(folder, port=port, seed=seed)
        sandbox = cls(process, ready)
        try:
            yield sandbox
        finally:
            await sandbox.hang_up()
            await sandbox._end(signal.SIGTERM)

    async def kill(self) -> None:
        """kill -9; what it had not on disk is gone."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Start again on the same port and folder, after ``kill``."""
        self._process, ready = await _spawn(self._folder, port=self.port, seed=None)
        self.pid, self.merchant, self.alipay.merchant = self._process.pid, ready.merchant, ready.alipay
        self.bill99.merchant = ready.bill99

    async def _end(self, how: signal.Signals) -> None:
        if self._process.returncode is None:
            self._process.send_signal(how)
        await self._process.communicate()


async def _first_merchants(channels: Channels, wanted: NewMerchant | None) -> First:
    """A new folder gets a merchant at every channel; a used one keeps its own."""
    wechat, alipay, bill99 = channels.wechat.state, channels.alipay.state, channels.bill99.state
    if len(wechat.merchants) == 0:
        await wechat_control.create_merchant(wechat, wanted or NewMerchant())
    if len(alipay.merchants) == 0:
        await alipay_control.create_merchant(alipay, NewAlipayMerchant(balance_minor=_BALANCE_MINOR))
    if len(bill99.merchants) == 0:
        await bill99_control.create_merchant(bill99, NewBill99Merchant(balance_minor=_BILL99_BALANCE_MINOR))
    return First(
        wechat=wechat_control.view_merchant(wechat, wechat.merchants.all()[0]),
        alipay=alipay_control.view_merchant(alipay, alipay.merchants.all()[0]),
        bill99=bill99_control.view_merchant(bill99, bill99.merchants.all()[0]),
    )


async def _spawn(folder: Path, *, port: int, seed: str | None) -> tuple[asyncio.subprocess.Process, Ready]:
    words = ["-m", "tael_sandbox", "--port", str(port), "--data", str(folder), "--json"]
    if seed is not None:
        words += ["--seed", seed]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE, limit=1 << 20
    )
    assert process.stdout is not None, "it was asked to be a pipe"
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"the sandbox did not start (exit {await process.wait()})")
    return process, msgspec.json.decode(line, type=Ready)


def _base_url(sock: socket.socket) -> str:
    return f"http://127.0.0.1:{sock.getsockname()[1]}"
