"""The channels there are. Adding one is a folder and a line here; the contract tests then run on it by themselves."""

from collections.abc import Callable, Mapping

from tael.channels.alipay import Alipay
from tael.channels.bill99 import Bill99
from tael.channels.contract import Connector
from tael.channels.transport import Transport
from tael.channels.wechat import WechatPay

CONNECTORS: Mapping[str, Callable[[Transport], Connector]] = {
    "alipay": Alipay,
    "bill99": Bill99,
    "wechat": WechatPay,
}


def connectors(transport: Transport) -> dict[str, Connector]:
    """One connector per channel on a shared transport, by channel name."""
    return {name: connector(transport) for name, connector in CONNECTORS.items()}
