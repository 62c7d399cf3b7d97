"""A refund and a payout at Alipay: what is asked, what each reply proves, and what never is a no."""

import json
from urllib.parse import parse_qsl

import pytest

from channels.otherside import NOW, NUMBER
from channels.otherside_alipay import (
    PID,
    SHORT,
    TRADE_NO,
    account,
    found_refund,
    payout,
    refund,
    refunded,
    refusal,
    reply,
    transfer,
)
from tael.base.money import Money
from tael.channels.alipay.bills import build_bill, parse_bill
from tael.channels.alipay.codes import RULES, reason_for
from tael.channels.alipay.payouts import (
    build_payout,
    build_query_payout,
    cannot_cancel,
    check,
    parse_payout,
    parse_query_payout,
)
from tael.channels.alipay.refunds import build_query_refund, build_refund, parse_query_refund, parse_refund
from tael.channels.contract import (
    AlipayUser,
    ErrorKind,
    Operation,
    Outcome,
    PayoutNotPossible,
    PayoutRef,
    PayoutState,
    RefundRef,
    RefundState,
    Result,
    Retry,
)
from tael.channels.exchange import HttpRequest, HttpResponse

REFUND, REFUND_QUERY = "trade.refund", "trade.fastpay.refund.query"
TRANSFER, TRANSFER_QUERY = "fund.trans.uni.transfer", "fund.trans.common.query"


def content(sent: HttpRequest) -> dict:
    return json.loads(dict(parse_qsl(sent.body.decode()))["biz_content"])


def ask_refund(response: HttpResponse) -> Result:
    return parse_refund(account(), refund(), build_refund(account(), refund(), now=NOW), response, now=NOW)


def query_refund(response: HttpResponse) -> Result:
    ref = RefundRef(refund().number, NUMBER, Money(1000, "CNY"))
    return parse_query_refund(account(), ref, build_query_refund(account(), ref, now=NOW), response, now=NOW)


def ask_payout(response: HttpResponse) -> Result:
    return parse_payout(account(), payout(), build_payout(account(), payout(), now=NOW), response, now=NOW)


def query_payout(response: HttpResponse) -> Result:
    ref = PayoutRef(NUMBER)
    return parse_query_payout(account(), ref, build_query_payout(account(), ref, now=NOW), response, now=NOW)


def test_what_is_asked():
    assert content(build_refund(account(), refund(), now=NOW)) == {
        "out_trade_no": NUMBER, "trade_no": TRADE_NO, "refund_amount": "10.00", "out_request_no": refund().number,
        "refund_reason": "退货",
    }  # fmt: skip
    by_login = payout(payee=AlipayUser("13800000000", "ALIPAY_LOGON_ID", "张三"), amount=Money(123456, "CNY"))
    sent = build_payout(account(), by_login, now=NOW)
    assert content(sent) == {
        "out_biz_no": NUMBER, "trans_amount": "1234.56", "product_code": "TRANS_ACCOUNT_NO_PWD",
        "biz_scene": "DIRECT_TRANSFER", "order_title": "提现", "remark": "提现",
        "payee_info": {"identity": "13800000000", "identity_type": "ALIPAY_LOGON_ID", "name": "张三"},
    }  # fmt: skip
    kept = parse_payout(account(), by_login, sent, refusal(TRANSFER, "SYSTEM_ERROR"), now=NOW).raw.request_body
    assert "13800000000" not in kept
    assert "张三" not in kept


REFUNDS = [
    ("this call moved it", reply(REFUND, refunded()), Outcome.SUCCEEDED),
    ("earlier refunds are in the sum", reply(REFUND, refunded(refund_fee="60.00")), Outcome.SUCCEEDED),
    ("no time is told", reply(REFUND, refunded(gmt_refund_pay="")), Outcome.SUCCEEDED),
    ("less than asked for", reply(REFUND, refunded(refund_fee="9.99")), Outcome.UNKNOWN),
    ("this call moved nothing", reply(REFUND, refunded(fund_change="N")), Outcome.UNKNOWN),
    ("nothing is told", reply(REFUND, refunded(fund_change="")), Outcome.UNKNOWN),
    ("of another payment", reply(REFUND, refunded(out_trade_no="RC2")), Outcome.UNKNOWN),
    ("not signed", reply(REFUND, refunded(), signed=False), Outcome.UNKNOWN),
    ("gateway 20000", refusal(REFUND, "isp.unknow-error", code="20000"), Outcome.UNKNOWN),
    ("aop 20000", refusal(REFUND, "aop.ACQ.SYSTEM_ERROR", code="20000"), Outcome.UNKNOWN),
    ("system error", refusal(REFUND, "ACQ.SYSTEM_ERROR"), Outcome.UNKNOWN),
    ("unheard of", refusal(REFUND, "ACQ.NEVER_SEEN"), Outcome.UNKNOWN),
    ("number with other content", refusal(REFUND, "ACQ.DISCORDANT_REPEAT_REQUEST"), Outcome.UNKNOWN),
    ("no such trade", refusal(REFUND, "ACQ.TRADE_NOT_EXIST"), Outcome.UNKNOWN),
    ("parameter", refusal(REFUND, "ACQ.INVALID_PARAMETER"), Outcome.UNKNOWN),
    ("no balance", refusal(REFUND, "ACQ.SELLER_BALANCE_NOT_ENOUGH"), Outcome.UNKNOWN),
    ("finished", refusal(REFUND, "ACQ.TRADE_HAS_FINISHED"), Outcome.DECLINED),
    ("too much", refusal(REFUND, "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"), Outcome.DECLINED),
    ("too much, unsigned", refusal(REFUND, "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", signed=False), Outcome.UNKNOWN),
]


@pytest.mark.parametrize(("response", "outcome"), [case[1:] for case in REFUNDS], ids=[case[0] for case in REFUNDS])
def test_a_refund_is_proven_by_this_call_or_not_at_all(response: HttpResponse, outcome: Outcome):
    result = ask_refund(response)
    assert result.outcome is outcome
    if outcome is Outcome.SUCCEEDED:
        view = result.value
        assert (view.state, view.number, view.amount) == (RefundState.REFUNDED, refund().number, Money(1000, "CNY"))
        assert (view.payment_number, view.mchid) == (NUMBER, PID)
    else:
        assert result.value is None
    if outcome is Outcome.UNKNOWN:
        assert result.error.retry in (Retry.QUERY_FIRST, Retry.SAME_REQUEST)


REFUND_QUERIES = [
    ("there", found_refund(), RefundState.REFUNDED),
    ("there, older words", found_refund(refund_status=""), RefundState.REFUNDED),
    ("not there", SHORT, RefundState.NOT_FOUND),
    ("not there, but the trade is", SHORT | {"out_trade_no": NUMBER, "trade_no": TRADE_NO}, RefundState.NOT_FOUND),
    ("failed, in a word that was never promised", found_refund(refund_status="REFUND_FAIL"), None),
    ("of another refund", found_refund(out_request_no="RF2"), None),
    ("of another payment", found_refund(out_trade_no="RC2"), None),
    ("without an amount", found_refund(refund_amount=""), None),
    ("of nothing", found_refund(refund_amount="0.00"), None),
]


@pytest.mark.parametrize(
    ("said", "state"), [case[1:] for case in REFUND_QUERIES], ids=[case[0] for case in REFUND_QUERIES]
)
def test_what_a_refund_query_shows(said: dict[str, str], state: RefundState | None):
    result = query_refund(reply(REFUND_QUERY, said))
    assert (result.value.state if result.value else None) == state
    assert result.outcome is (Outcome.SUCCEEDED if state else Outcome.UNKNOWN)
    if state is RefundState.REFUNDED:
        assert result.value.amount == Money(1000, "CNY")


@pytest.mark.parametrize("code", ["ACQ.SYSTEM_ERROR", "ACQ.TRADE_NOT_EXIST", "ACQ.INVALID_PARAMETER", "ACQ.NEW"])
def test_a_failing_refund_query_concludes_nothing(code: str):
    assert query_refund(refusal(REFUND_QUERY, code)).outcome is Outcome.UNKNOWN


TRANSFERS = [
    ("SUCCESS", PayoutState.PAID), ("DEALING", PayoutState.PROCESSING), ("WAIT_PAY", PayoutState.PROCESSING),
    ("FAIL", PayoutState.FAILED), ("CLOSED", PayoutState.FAILED), ("REFUND", PayoutState.RETURNED),
    ("success", None), ("INIT", None), ("", None),
]  # fmt: skip


@pytest.mark.parametrize(("status", "state"), TRANSFERS)
def test_the_states_of_a_transfer(status: str, state: PayoutState | None):
    asked = ask_payout(reply(TRANSFER, transfer(status=status)))
    queried = query_payout(reply(TRANSFER_QUERY, transfer(status=status, trans_amount="0.10")))
    for result in (asked, queried):
        assert (result.value.state if result.value else None) == state
        assert result.outcome is (Outcome.SUCCEEDED if state else Outcome.UNKNOWN)
    if state is PayoutState.PAID:
        assert asked.value.amount == queried.value.amount == Money(10, "CNY")
        assert asked.value.channel_ref == queried.value.channel_ref == transfer()["order_id"]


ODD_TRANSFERS = [
    {"trans_amount": ""},
    {"trans_amount": "0.1.0"},
    {"trans_amount": "0.00"},
    {"trans_amount": 1},
    {"order_id": ""},
    {"out_biz_no": "WD2"},
    {"pay_date": "yesterday"},
]


@pytest.mark.parametrize("change", ODD_TRANSFERS)
def test_an_incomplete_or_odd_transfer_is_unknown(change: dict[str, object]):
    said = transfer(trans_amount="0.10") | change
    assert query_payout(reply(TRANSFER_QUERY, said)).outcome is Outcome.UNKNOWN


REFUSED = [
    ("SYSTEM_ERROR", "40004", Outcome.UNKNOWN, ErrorKind.UNKNOWN),
    ("isp.unknow-error", "20000", Outcome.UNKNOWN, ErrorKind.UNKNOWN),
    ("PAYER_BALANCE_NOT_ENOUGH", "20000", Outcome.UNKNOWN, ErrorKind.INSUFFICIENT_CHANNEL_BALANCE),
    ("INVALID_PARAMETER", "40004", Outcome.UNKNOWN, ErrorKind.INVALID),
    ("PAYMENT_INFO_INCONSISTENCY", "40004", Outcome.UNKNOWN, ErrorKind.DUPLICATE),
    ("PERMIT_CHECK_PERM_LIMITED", "40004", Outcome.UNKNOWN, ErrorKind.AUTH),
    ("ORDER_NOT_EXIST", "40004", Outcome.UNKNOWN, ErrorKind.UNKNOWN),
    ("NEVER_SEEN", "40004", Outcome.UNKNOWN, ErrorKind.UNKNOWN),
    ("PAYER_BALANCE_NOT_ENOUGH", "40004", Outcome.DECLINED, ErrorKind.INSUFFICIENT_CHANNEL_BALANCE),
    ("EXCEED_LIMIT_DM_MAX_AMOUNT", "40004", Outcome.DECLINED, ErrorKind.QUOTA_EXCEEDED),
    ("EXCEED_LIMIT_SM_AMOUNT", "40004", Outcome.DECLINED, ErrorKind.QUOTA_EXCEEDED),
    ("PAYEE_NOT_EXIST", "40004", Outcome.DECLINED, ErrorKind.PAYEE),
    ("PAYEE_USER_INFO_ERROR", "40004", Outcome.DECLINED, ErrorKind.PAYEE),
]


@pytest.mark.parametrize(("sub_code", "code", "outcome", "kind"), REFUSED)
def test_only_a_documented_no_to_a_transfer_is_final(sub_code: str, code: str, outcome: Outcome, kind: ErrorKind):
    result = ask_payout(refusal(TRANSFER, sub_code, code=code))
    assert (result.outcome, result.value, result.error.kind) == (outcome, None, kind)
    for unproven in (refusal(TRANSFER, sub_code, code=code, signed=False), refusal(TRANSFER, sub_code, signer="x")):
        assert ask_payout(unproven).outcome is Outcome.UNKNOWN


def test_what_is_final_for_money_that_goes_out_is_this_list():
    final = {op: {code for rule in RULES if op in rule.final for code in rule.codes} for op in Operation}
    assert final[Operation.REFUND] == {
        "ACQ.TRADE_HAS_FINISHED", "ACQ.REASON_TRADE_REFUND_FEE_ERR", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL",
    }  # fmt: skip
    assert final[Operation.PAYOUT] == {
        "PAYER_BALANCE_NOT_ENOUGH", "BALANCE_IS_NOT_ENOUGH", "EXCEED_LIMIT_*", "PAYEE_NOT_EXIST",
        "PAYEE_USER_INFO_ERROR", "PAYEE_ACCOUNT_STATUS_ERROR", "PAYEE_ACCOUNT_NOT_EXSIT",
    }  # fmt: skip
    assert final[Operation.QUERY_PAYOUT] == {"ORDER_NOT_EXIST"}
    assert final[Operation.QUERY_REFUND] == final[Operation.CANCEL] == final[Operation.CANCEL_PAYOUT] == set()


REASONS = [
    ("PAYER_BALANCE_NOT_ENOUGH", ErrorKind.INSUFFICIENT_CHANNEL_BALANCE),
    ("EXCEED_LIMIT_MM_MAX_AMOUNT", ErrorKind.QUOTA_EXCEEDED),
    ("PAYEE_ACCOUNT_STATUS_ERROR", ErrorKind.PAYEE),
    ("PERMIT_PAYER_FORBIDDEN", ErrorKind.AUTH),
    ("SOMETHING_NEW", ErrorKind.DECLINED),
]


@pytest.mark.parametrize(("word", "kind"), REASONS)
def test_why_a_transfer_failed(word: str, kind: ErrorKind):
    assert reason_for(word).kind is kind
    view = query_payout(reply(TRANSFER_QUERY, transfer(status="FAIL", error_code=word))).value
    assert (view.reason.kind, view.reason.code) == (kind, word)
    assert query_payout(reply(TRANSFER_QUERY, transfer(trans_amount="0.10", error_code=word))).value.reason is None


def test_no_such_order_means_pending():
    result = query_payout(refusal(TRANSFER_QUERY, "ORDER_NOT_EXIST"))
    assert (result.outcome, result.value.state) == (Outcome.SUCCEEDED, PayoutState.NOT_FOUND)
    assert content(build_payout(account(), payout(), now=NOW)) == content(build_payout(account(), payout(), now=NOW))


def test_only_certificate_mode_pays_out():
    with pytest.raises(PayoutNotPossible) as refused:
        check(account(keys="public_key"), payout())
    assert refused.value.param == "merchant_account"


def test_a_transfer_cannot_be_called_back():
    result = cannot_cancel()
    assert (result.outcome, result.value, result.error.code) == (Outcome.DECLINED, None, "not_cancellable")


BILLS = [
    (SHORT | {"bill_download_url": "http://dwbillcenter.alipay.com/downloadBillFile.resource?x=1"}, Outcome.SUCCEEDED),
    (SHORT | {"bill_download_url": "file:///etc/passwd"}, Outcome.UNKNOWN),
    (SHORT, Outcome.UNKNOWN),
    ("isp.bill_not_exist", Outcome.DECLINED),
    ("BILL_NOT_EXIST", Outcome.DECLINED),
    ("SYSTEM_ERROR", Outcome.UNKNOWN),
]


@pytest.mark.parametrize(("said", "outcome"), BILLS)
@pytest.mark.parametrize(("kind", "spelt"), [("trade", "trade"), ("funds", "signcustomer")])
def test_where_a_bill_is(kind: str, spelt: str, said: dict[str, str] | str, outcome: Outcome):
    sent, method = build_bill(account(), kind, NOW.date(), now=NOW), "data.dataservice.bill.downloadurl.query"
    assert content(sent) == {"bill_type": spelt, "bill_date": "2026-03-02"}
    response = refusal(method, said) if isinstance(said, str) else reply(method, said)
    result = parse_bill(account(), sent, response, now=NOW)
    assert result.outcome is outcome
    if outcome is Outcome.DECLINED:
        assert result.error.kind is ErrorKind.NOT_FOUND
