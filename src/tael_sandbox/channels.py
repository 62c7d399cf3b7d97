"""The channels of a sandbox, listed once.

To add one: a folder with

    state.py     a subclass of ``State``: its merchants and records, ``apply`` for its events, the table of its faults
    channel.py   makes the ``Channel``: its event types, its paths, and the function of each module that does the work
    api.py       what merchants' servers call          control.py, controls.py   what tests do, and the same as methods
    notify.py    what its notices say                  views.py                  what the controls say
    cashier.py   what its pages show

then one attribute and one entry here, one field of ``First`` and one attribute in ``controls.py``, and the creation of
its first merchant in ``sandbox.py``.
"""

from tael_sandbox.alipay.channel import alipay
from tael_sandbox.bill99.channel import bill99
from tael_sandbox.wechat.channel import wechat
from tael_sandbox.world import Channel, State, World


class Channels:
    """Every channel of one sandbox."""

    def __init__(self, world: World) -> None:
        """Open them all; nothing is replayed yet."""
        self.wechat = wechat(world)
        self.alipay = alipay(world)
        self.bill99 = bill99(world)

    def all(self) -> tuple[Channel[State], ...]:
        """In order; the first is meant when a control call or a page names none."""
        return (self.wechat, self.alipay, self.bill99)
