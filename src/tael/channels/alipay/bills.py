"""Where Alipay's bill of a day can be fetched. Pure.

    trade -> bill_type trade         every payment and refund, ready about 09:00 on the next day in China
    funds -> bill_type signcustomer  every movement of the account, with its balance

The address lives for 30 seconds and needs no signature: fetch at once.
"""

from datetime import date, datetime

import msgspec

from tael.channels.alipay.replies import judge
from tael.channels.alipay.signing import signed_request
from tael.channels.alipay.writing import read_json
from tael.channels.contract import MerchantAccount, Operation, Result
from tael.channels.exchange import HttpRequest, HttpResponse
from tael.channels.reading import Unreadable

METHOD = "alipay.data.dataservice.bill.downloadurl.query"
_TYPES = {"trade": "trade", "funds": "signcustomer"}


class _Bill(msgspec.Struct):
    bill_download_url: str


_decoder = msgspec.json.Decoder(_Bill)


def build_bill(account: MerchantAccount, kind: str, day: date, *, now: datetime) -> HttpRequest:
    """The question for the bill of `day`."""
    content = {"bill_type": _TYPES[kind], "bill_date": day.isoformat()}
    return signed_request(account, METHOD, content, now=now)


def parse_bill(account: MerchantAccount, sent: HttpRequest, response: HttpResponse, *, now: datetime) -> Result[str]:
    """The address in the reply. DECLINED with NOT_FOUND: there is no bill (yet)."""

    def read(node: bytes) -> str:
        url = read_json(_decoder, node).bill_download_url
        visible = all("!" <= char <= "~" for char in url)
        if not url.startswith(("https://", "http://")) or len(url) > 2048 or not visible:
            raise Unreadable("bill_download_url")
        return url

    return judge(account, Operation.BILL, METHOD, sent, response, now=now, read=read)
