"""Sends a notice once, as healthy or as broken as an armed fault wants it; what it says is its channel's business.

    late           not now, but ``late_s`` of sandbox time later
    out_of_order   not before the next notice
    drop           believed to be sent, and is not
    duplicate      several times at once
    other kinds    once, in a letter that the channel spoils

Only hosts of this machine (and hosts the sandbox was told about) are called.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from tael_sandbox.calls import Delivery
from tael_sandbox.courier import Notice, Verdict
from tael_sandbox.faults import Fault
from tael_sandbox.outgoing import Heard, NotDelivered
from tael_sandbox.world import State

_ANSWER_WITHIN_S = 5
_MOST_ANSWER_CHARS = 500


@dataclass(frozen=True, slots=True)
class Letter:
    """What is posted."""

    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends one notice of a channel. ``write`` makes a fresh letter, spoilt in the one thing that a fault wants;
    ``accepts`` judges the answer.
    """

    state: State
    notice: Notice
    write: Callable[[Fault | None], Letter]
    accepts: Callable[[Heard], bool]

    async def deliver(self, fault: Fault | None) -> Verdict:
        """Send it, or do to it what ``fault`` wants."""
        if fault is None:
            return await self.send(None)
        match fault.kind:
            case "late":
                return Verdict(postponed_ms=fault.late_s * 1000)
            case "out_of_order":
                return Verdict(held=True)
            case "drop":
                return self._tried("dropped on purpose", fault=fault)
            case "duplicate":
                letters = [self.write(None) for _ in range(fault.times)]
                return (await asyncio.gather(*(self._post(letter, fault) for letter in letters)))[-1]
            case _:
                return await self.send(fault)

    async def send(self, fault: Fault | None) -> Verdict:
        """Post one letter, spoilt when there is a fault."""
        return await self._post(self.write(fault), fault)

    async def _post(self, letter: Letter, fault: Fault | None) -> Verdict:
        url = self.notice.url
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname not in self.state.notify_hosts:
            return self._tried("not a host the sandbox may call", fault=fault)
        try:
            heard = await self.state.poster.post(
                url, headers=letter.headers, body=letter.body, timeout_s=_ANSWER_WITHIN_S
            )
        except NotDelivered as error:
            return self._tried(str(error), fault=fault)
        text = heard.body.decode("utf-8", "replace")[:_MOST_ANSWER_CHARS]
        return self._tried(text, status=heard.status, accepted=self.accepts(heard), fault=fault)

    def _tried(self, answer: str, *, status: int = 0, accepted: bool = False, fault: Fault | None) -> Verdict:
        """Let the witness know of a try that is over."""
        delivery = Delivery(
            at_ms=self.state.clock.now_ms(),
            notice_id=self.notice.id,
            mchid=self.notice.mchid,
            out_trade_no=self.notice.out_trade_no,
            url=self.notice.url,
            attempt=self.notice.tries + 1,
            status=status,
            answer=answer,
            accepted=accepted,
            fault="" if fault is None else fault.kind,
            channel=self.notice.channel,
        )
        self.state.witness.told(delivery)
        return Verdict(accepted=accepted)
