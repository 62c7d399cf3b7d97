"""Defects found in other programs that speak with Alipay, each by name: ours must not have them."""

import json
from urllib.parse import parse_qsl, quote_plus

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA1

from channels.otherside import NOW, NUMBER
from channels.otherside_alipay import (
    SHORT,
    account,
    body,
    form,
    http,
    node_name,
    payment,
    payout,
    refund,
    refunded,
    refusal,
    reply,
    signature,
    sn,
    told,
    trade,
    transfer,
    written,
)
from tael.base.money import Money
from tael.channels.alipay import keys, signing
from tael.channels.alipay.codes import RULES, rule_for
from tael.channels.alipay.notices import verify
from tael.channels.alipay.payments import build_create, build_query, make_handoff, parse_query
from tael.channels.alipay.payouts import build_payout, build_query_payout, parse_payout, parse_query_payout
from tael.channels.alipay.refunds import build_refund, parse_refund
from tael.channels.contract import (
    BadNotification,
    ErrorKind,
    Method,
    Operation,
    Outcome,
    PaymentRef,
    PaymentState,
    PayoutRef,
    PayoutState,
    Result,
)
from tael.channels.exchange import HttpResponse

QUERY, TRANSFER, TRANSFER_QUERY = "trade.query", "fund.trans.uni.transfer", "fund.trans.common.query"
ACCOUNT = account()


def query(response: HttpResponse) -> Result:
    ref = PaymentRef(NUMBER)
    return parse_query(ACCOUNT, ref, build_query(ACCOUNT, ref, now=NOW), response, now=NOW)


def ask_payout(response: HttpResponse) -> Result:
    return parse_payout(ACCOUNT, payout(), build_payout(ACCOUNT, payout(), now=NOW), response, now=NOW)


def query_payout(response: HttpResponse) -> Result:
    ref = PayoutRef(NUMBER)
    return parse_query_payout(ACCOUNT, ref, build_query_payout(ACCOUNT, ref, now=NOW), response, now=NOW)


def test_finished_and_closed_trades_count_as_waiting():
    """Another program waits for ever for a trade that is over."""
    assert query(reply(QUERY, trade(trade_status="TRADE_FINISHED"))).value.state is PaymentState.PAID
    assert query(reply(QUERY, trade(trade_status="TRADE_CLOSED"))).value.state is PaymentState.REFUNDED
    unpaid = trade(trade_status="TRADE_CLOSED") | {"send_pay_date": ""}
    assert query(reply(QUERY, unpaid)).value.state is PaymentState.CLOSED


@pytest.mark.parametrize("sub_code", ["isp.unknow-error", "aop.unknow-error", "SYSTEM_ERROR", "isp.cms-error", "NEW"])
def test_a_transfer_whose_outcome_is_unknown_counts_as_failed_and_is_paid_twice(sub_code: str):
    result = ask_payout(refusal(TRANSFER, sub_code, code="20000"))
    assert (result.outcome, result.value) == (Outcome.UNKNOWN, None)


@pytest.mark.parametrize("sub_code", ["SYSTEM_ERROR", "INVALID_PARAMETER", "PERMISSION_DENIED", "NEW", ""])
@pytest.mark.parametrize("code", ["40004", "40006", "40005", "20000"])
def test_a_failing_transfer_query_marks_the_payout_failed(sub_code: str, code: str):
    for signed in (True, False):
        result = query_payout(refusal(TRANSFER_QUERY, sub_code, code=code, signed=signed))
        assert (result.outcome, result.value) == (Outcome.UNKNOWN, None)


def test_no_such_order_marks_the_payout_failed():
    """The first request may still be on its way: the only legal step is to repeat it as it was."""
    assert query_payout(refusal(TRANSFER_QUERY, "ORDER_NOT_EXIST")).value.state is PayoutState.NOT_FOUND


@pytest.mark.parametrize("text", ["}", "{", '"}', "\\", '\\"}', "}]{[", "充值 } {", "\\u007d}"])
def test_a_brace_inside_a_string_breaks_the_reader(text: str):
    assert query(reply(QUERY, trade(subject=text))).value.state is PaymentState.PAID
    refused = {"code": "40004", "msg": text, "sub_code": "ACQ.TRADE_NOT_EXIST", "sub_msg": text}
    assert query(reply(QUERY, refused)).value.state is PaymentState.NOT_FOUND


def test_a_forged_copy_of_the_node_is_read_instead_of_the_signed_one():
    """The signature is checked over one copy, a JSON parser takes the other."""
    true, name = body(QUERY, trade(trade_status="WAIT_BUYER_PAY")), node_name(QUERY).encode()
    forged = b'"%s":%s' % (name, written(trade()))
    for whole in (true[:-1] + b"," + forged + b"}", b"{" + forged + b"," + true[1:]):
        assert query(http(whole)).outcome is Outcome.UNKNOWN
    spelt = true[:-1] + b"," + forged.replace(b'"alipay', b'"\\u0061lipay', 1) + b"}"
    assert query(http(spelt)).outcome is Outcome.UNKNOWN
    inside = b'{"x":{"alipay_cert_sn":"1"},' + forged + true[true.index(b',"alipay_cert_sn"') :]
    assert query(http(inside)).outcome is Outcome.UNKNOWN


def test_a_member_twice_inside_the_signed_node_is_read_as_either():
    said = written(trade())[:-1] + b',"trade_status":"WAIT_BUYER_PAY"}'
    assert query(reply(QUERY, said)).outcome is Outcome.UNKNOWN


def test_sha_1_is_accepted_where_rsa2_was_agreed():
    node = written(trade())
    weak = b'{"%s":%s,"alipay_cert_sn":"%s","sign":"%s"}' % (
        node_name(QUERY).encode(), node, sn("alipay").encode(), signature(node, by=SHA1()).encode(),
    )  # fmt: skip
    result = query(http(weak))
    assert (result.outcome, result.error.kind) == (Outcome.UNKNOWN, ErrorKind.BAD_SIGNATURE)
    for said in (told(), told(sign_type="RSA")):
        with pytest.raises(BadNotification):
            verify(ACCOUNT, [], form(said, by=SHA1()), now=NOW)


@pytest.mark.parametrize("amount", [88.0, 88, 0.1 + 0.2, "88.000", "8.8e1", "1e999", "NaN", None])
def test_a_float_amount_passes_through(amount: object):
    assert query(reply(QUERY, trade() | {"total_amount": amount})).outcome is Outcome.UNKNOWN
    assert query_payout(reply(TRANSFER_QUERY, transfer() | {"trans_amount": amount})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("minor", "yuan"), [(1, "0.01"), (10, "0.10"), (29, "0.29"), (1_110, "11.10"), (10**10, "100000000.00")]
)
def test_an_amount_loses_a_fen_on_the_way(minor: int, yuan: str):
    sent = build_create(ACCOUNT, payment(amount=Money(minor, "CNY")), now=NOW)
    assert f"%22total_amount%22%3A%22{yuan}%22".encode() in sent.body
    assert query(reply(QUERY, trade(total_amount=yuan))).value.amount == Money(minor, "CNY")


def test_the_sum_of_refunds_is_taken_for_this_refund():
    sent = build_refund(ACCOUNT, refund(), now=NOW)
    result = parse_refund(ACCOUNT, refund(), sent, reply("trade.refund", refunded(refund_fee="88.00")), now=NOW)
    assert result.value.amount == Money(1000, "CNY")


def test_a_refund_that_moved_nothing_counts_as_done():
    sent = build_refund(ACCOUNT, refund(), now=NOW)
    for said in (refunded(fund_change="N"), {k: v for k, v in refunded().items() if k != "fund_change"}):
        assert parse_refund(ACCOUNT, refund(), sent, reply("trade.refund", said), now=NOW).outcome is Outcome.UNKNOWN


def test_an_unsigned_reply_counts():
    assert query(reply(QUERY, trade(), signed=False)).outcome is Outcome.UNKNOWN
    assert query(refusal(QUERY, "ACQ.TRADE_NOT_EXIST", signed=False)).outcome is Outcome.UNKNOWN
    assert ask_payout(refusal(TRANSFER, "PAYEE_NOT_EXIST", signed=False)).outcome is Outcome.UNKNOWN


def test_a_signature_over_another_spelling_of_the_same_content_is_accepted():
    node = written(trade(subject="a/b"))
    assert b"\\/" in node
    assert query(reply(QUERY, node)).value.state is PaymentState.PAID
    unescaped = body(QUERY, node).replace(b"\\/", b"/")
    assert query(http(unescaped)).outcome is Outcome.UNKNOWN


def test_a_status_other_than_200_raises_out_of_the_reader():
    for status in (301, 403, 500, 503):
        assert query(http(b"<html>", status)).outcome is Outcome.UNKNOWN


def test_keys_are_parsed_again_for_every_call(monkeypatch: pytest.MonkeyPatch):
    def parsed(*_: object, **__: object) -> rsa.RSAPrivateKey:
        raise AssertionError("a key is parsed once, when the account is loaded")

    for name in ("load_pem_private_key", "load_pem_public_key", "load_der_private_key", "load_der_public_key"):
        monkeypatch.setattr(keys, name, parsed)
    assert query(reply(QUERY, trade())).outcome is Outcome.SUCCEEDED
    assert not hasattr(signing, "load_pem_private_key")


def test_reading_a_notice_changes_what_was_received():
    raw = bytearray(form(told()))
    before = bytes(raw)
    assert verify(ACCOUNT, [], bytes(raw), now=NOW) == verify(ACCOUNT, [], before, now=NOW)
    assert bytes(raw) == before


def test_a_text_of_the_payer_becomes_the_amount_of_a_notice():
    """Parameters are joined by & before they are signed, so where one ends is not signed: a subject that holds some can
    be sent as what it holds, and the true amount be hidden in a parameter that nobody reads."""
    chosen = "x&total_amount=9999.00&trade_a="
    true = form(told(subject=chosen))
    hidden = true.replace(b"&total_amount=88.00", b"")
    split = b"subject=x&total_amount=9999.00&trade_a=%26total_amount%3D88.00"
    forged = hidden.replace(b"subject=x%26total_amount%3D9999.00%26trade_a%3D", split)
    parsed = {name: value for name, value in parse_qsl(forged.decode()) if name not in ("sign", "sign_type")}
    text = "&".join(f"{name}={value}" for name, value in sorted(parsed.items()))
    assert f"&sign={quote_plus(signature(text.encode()))}".encode() in forged, "the signature is good"
    assert parsed["total_amount"] == "9999.00"
    for raw in (true, forged):
        with pytest.raises(BadNotification):
            verify(ACCOUNT, [], raw, now=NOW)
    for method in (Method.NATIVE, Method.PAGE):
        request = payment(method, description=chosen)
        sent = build_create(ACCOUNT, request, now=NOW).body if method is Method.NATIVE else b""
        made = make_handoff(ACCOUNT, request, now=NOW).value.url.encode() if method is Method.PAGE else b""
        assert b"trade_a" in sent + made
        assert b"%26total_amount" not in sent + made


def test_every_rule_of_the_table_can_be_reached():
    for rule in RULES:
        operations = rule.operations or list(Operation)
        assert all(rule_for(code.replace("*", "x"), "", operations[-1]) is rule for code in rule.codes), rule
        assert set(rule.final) <= set(operations), rule


def test_an_unlisted_code_is_a_failure():
    for operation in Operation:
        rule = rule_for("SOMETHING_NEW", "40004", operation)
        assert (rule.kind, rule.final) == (ErrorKind.UNKNOWN, [])


def test_a_reply_about_something_else_is_believed():
    assert query(reply(QUERY, trade(out_trade_no="RC2"))).outcome is Outcome.UNKNOWN
    assert query(reply("trade.close", trade())).outcome is Outcome.UNKNOWN
    assert query_payout(reply(TRANSFER_QUERY, transfer(out_biz_no="WD2"))).outcome is Outcome.UNKNOWN
    assert json.loads(written(SHORT))["code"] == "10000"
