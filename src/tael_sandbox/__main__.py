"""``python -m tael_sandbox``: run the simulator by itself.

With ``--json`` it prints one JSON line when it answers: port, base_url, data_dir, pid and the first merchant of
every channel with all its keys. SIGTERM or Ctrl-C ends it.
"""

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import cyclopts
import msgspec
import uvloop
from cyclopts import Parameter

from tael_sandbox.sandbox import Ready, Sandbox
from tael_sandbox.wechat.keys import Mode
from tael_sandbox.wechat.views import NewMerchant

app = cyclopts.App(name="tael_sandbox", help="Simulator of payment channels. No real money moves.")


@app.default
def run(
    *,
    data: Path,
    port: int = 0,
    seed: str | None = None,
    mode: Mode = "public_key",
    json_line: Annotated[bool, Parameter(name="--json")] = False,
    notify_host: tuple[str, ...] = (),
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Parameters
    ----------
    data: folder that keeps keys and the journal; created when missing
    port: loopback port; 0 picks a free one
    seed: fixes all ids of a new folder
    mode: which platform keys a new first merchant gets: certificate, public_key or both
    json_line: print the readiness line as JSON
    notify_host: a host besides this machine that may be sent notices; may be repeated
    """
    wanted = NewMerchant(mode=mode)
    uvloop.run(_serve(data, port=port, seed=seed, wanted=wanted, hosts=frozenset(notify_host), as_json=json_line))


async def _serve(
    data: Path, *, port: int, seed: str | None, wanted: NewMerchant, hosts: frozenset[str], as_json: bool
) -> None:
    over = asyncio.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(which, over.set)
    async with Sandbox.start(data, port=port, seed=seed, merchant=wanted, notify_hosts=hosts) as sandbox:
        gc.freeze()
        gc.set_threshold(100_000, 50, 1_000)
        ready = Ready(
            port=int(sandbox.base_url.rpartition(":")[2]),
            base_url=sandbox.base_url,
            data_dir=str(data),
            pid=os.getpid(),
            merchant=sandbox.merchant,
            alipay=sandbox.alipay.merchant,
            bill99=sandbox.bill99.merchant,
        )
        print(_as_json(ready) if as_json else _as_text(ready), flush=True)
        await over.wait()


def _as_json(ready: Ready) -> str:
    return msgspec.json.encode(ready).decode()


def _as_text(ready: Ready) -> str:
    lines = (
        f"Sandbox     {ready.base_url}/",
        f"WeChat Pay  {ready.merchant.mchid}  app {ready.merchant.appid}",
        f"  keys      {Path(ready.merchant.private_key_path).parent}",
        f"Alipay      {ready.alipay.app_id}  gateway {ready.alipay.gateway}",
        f"  keys      {Path(ready.alipay.private_key_path).parent}",
        f"99bill      {ready.bill99.member_code}",
        f"  keys      {Path(ready.bill99.private_key_path).parent}",
        f"Control     {ready.base_url}/_sim/orders",
    )
    return "\n".join(lines)


if __name__ == "__main__":
    app(sys.argv[1:])
