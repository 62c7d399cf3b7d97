"""The channels of a sandbox, listed once.

To add one: a folder with

    state.py     a subclass of ``State``: its merchants and records, ``apply`` for its events, the table of its faults
    channel.py   a subclass of ``Channel``: its name, event types, paths, and one line to each module that does the work
    api.py       what merchants' servers call          control.py, controls.py   what tests do, and the same as methods
    notify.py    sends a notice once and judges it     views.py                  what the controls say

then one attribute and one entry here, one field of ``First`` and one attribute in ``controls.py``, and the creation of
its first merchant in ``sandbox.py``.
"""

from tael_sandbox.alipay.channel import AlipayChannel
from tael_sandbox.bill99.channel import Bill99Channel
from tael_sandbox.wechat.channel import WechatChannel
from tael_sandbox.world import Channel, World


class Channels:
    """Every channel of one sandbox."""

    def __init__(self, world: World) -> None:
        """Open them all; nothing is replayed yet."""
        self.wechat = WechatChannel(world)
        self.alipay = AlipayChannel(world)
        self.bill99 = Bill99Channel(world)

    def all(self) -> tuple[Channel, ...]:
        """In order; the first is meant when a control call or a page names none."""
        return (self.wechat, self.alipay, self.bill99)
