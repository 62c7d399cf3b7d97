"""What the two calls do, inside their seals: take an order to pay, and tell what became of one.

An order's number names it for ever: the same content again is the same order, other content is refused. What is refused
leaves no order behind, so the same number may be sent again.
"""

import re

from tael_sandbox.bill99.markup import Inside, Node, write
from tael_sandbox.bill99.merchants import Merchant
from tael_sandbox.bill99.orders import Accepted, Content, Moved, Order, Status
from tael_sandbox.bill99.state import Bill99
from tael_sandbox.china_time import china_time, read_china_time
from tael_sandbox.control import NotPossible

_REFUSALS = {
    "0001": "会员不存在",
    "0002": "请求参数错误",
    "0003": "商家订单号重复",
    "0004": "验签解密失败",
    "6001": "账户余额不足",
    "9999": "系统繁忙",
    "Q0018": "没有查询到结果",
}
_ORDER_ID, _CARD, _AMOUNT = re.compile(r"[0-9A-Za-z_\-]{1,32}"), re.compile(r"\d{8,32}"), re.compile(r"[1-9]\d{0,14}")
_MOST_SPAN_MS = 7 * 86_400_000
_NEXT: dict[Status, frozenset[Status]] = {"101": frozenset({"111", "112"}), "111": frozenset({"114"})}


class Refusal(Exception):
    """99bill's no."""

    def __init__(self, code: str, message: str = "") -> None:
        """Give a code; the message defaults to the usual one."""
        self.code = code
        self.message = message or _REFUSALS.get(code, "失败")
        super().__init__(code)


def pay(bill99: Bill99, merchant: Merchant, text: bytes) -> bytes:
    """Take an order. Raises ``Refusal``; ``NotReadable`` when it is no order at all."""
    said = Node.read(text, "pay2bankOrder")
    order_id, content = said.text("orderId"), _content(said)
    found = bill99.order(merchant.member_code, order_id)
    if found is None:
        if content.amount_minor > bill99.balance_minor(merchant):
            raise Refusal("6001")
        now_ms, settle_s = bill99.clock.now_ms(), merchant.about.settle_s
        bill99.record(
            Accepted(
                member_code=merchant.member_code,
                order_id=order_id,
                content=content,
                at_ms=now_ms,
                applied_ms=bill99.clock.wire_s() * 1000,
                order_seq_id=bill99.ids.digits(16, "bill99 order", merchant.member_code, order_id),
                due_ms=now_ms + settle_s * 1000 if settle_s else 0,
            )
        )
    elif found.content != content:
        raise Refusal("0003")
    return write("pay2bankOrder", [("orderId", order_id), *_told(content)])


def query(bill99: Bill99, merchant: Merchant, text: bytes) -> bytes:
    """Tell about an order, if it was accepted in the asked span of time. Raises ``Refusal``, ``NotReadable``."""
    said = Node.read(text, "pay2bankSearchRequestParam")
    start_ms, end_ms = (read_china_time(said.text(name)) for name in ("startDate", "endDate"))
    page, size = said.text("targetPage"), said.text("pageSize")
    if start_ms is None or end_ms is None or not 0 <= end_ms - start_ms <= _MOST_SPAN_MS:
        raise Refusal("0002", "查询时间范围错误")
    if page != "1" or not size.isdecimal() or not 1 <= int(size) <= 20:
        raise Refusal("0002", "分页参数错误")
    order_id = said.text("orderId")
    found = bill99.order(merchant.member_code, order_id)
    if found is None or not start_ms <= found.applied_ms <= end_ms:
        raise Refusal("Q0018")
    asked: list[tuple[str, Inside]] = [
        ("orderId", order_id), ("targetPage", page), ("pageSize", size), ("totalCnt", "1"),
    ]  # fmt: skip
    return write("pay2bankSearchResult", [("pay2bankSearchResponseParam", asked), ("resultList", _detail(found))])


def move(bill99: Bill99, found: Order, status: Status, *, code: str = "") -> None:
    """Let an order go on, by hand. Raises ``NotPossible``."""
    if status not in _NEXT.get(found.status, ()):
        raise NotPossible(f"the order is {found.status}")
    why = "" if status == "111" else code or "B0001"
    bill99.record(Moved(found.member_code, found.order_id, bill99.clock.now_ms(), status, why))


def _content(said: Node) -> Content:
    amount, card, name = said.text("amount"), said.text("bankAcctId"), said.text("creditName")
    right = (
        _ORDER_ID.fullmatch(said.text("orderId")), _AMOUNT.fullmatch(amount), _CARD.fullmatch(card), name,
        said.text("bankName"),
    )  # fmt: skip
    if not all(right):
        raise Refusal("0002")
    return Content(
        amount_minor=int(amount),
        bank_name=said.text("bankName"),
        bank_acct_id=card,
        credit_name=name,
        mobile=said.text("mobile", ""),
        remark=said.text("remark", ""),
        fee_action=said.text("feeAction", "1"),
    )


def _told(content: Content) -> list[tuple[str, Inside]]:
    return [
        ("bankName", content.bank_name), ("creditName", content.credit_name), ("mobile", content.mobile),
        ("bankAcctId", content.bank_acct_id), ("amount", str(content.amount_minor)), ("remark", content.remark),
        ("feeAction", content.fee_action),
    ]  # fmt: skip


def _detail(order: Order) -> list[tuple[str, Inside]]:
    content = order.content
    return [
        ("applyDate", china_time(order.applied_ms)), ("orderId", order.order_id), ("orderSeqId", order.order_seq_id),
        ("bankName", content.bank_name), ("branchName", ""), ("creditName", content.credit_name),
        ("bankAcctId", content.bank_acct_id), ("payerMembercode", order.member_code), ("payerName", ""),
        ("amount", str(content.amount_minor)), ("fee", "0"), ("feeAction", content.fee_action),
        ("status", order.status), ("errorCode", order.code or "0000"),
        ("errorMsg", "银行退票" if order.status == "114" else "银行处理失败" if order.status == "112" else ""),
        ("endDate", "" if order.status == "101" else china_time(order.moved_ms)),
    ]  # fmt: skip
