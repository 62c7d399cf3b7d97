"""A payout at 99bill: what is sent and refused, what each reply proves, and what other people's code got wrong."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

from channels.bill99_side import (
    CARD,
    MEMBER_CODE,
    NOW,
    NUMBER,
    REF,
    REQUEST,
    THEIRS,
    XML,
    accepted,
    account,
    answered,
    found,
    opened,
    order,
    sealed,
)
from channels.bill99_vectors import BILL99, MEMBER, PAY
from channels.otherside import scripted, wired
from tael.base.money import Money
from tael.base.wire import Wire
from tael.channels.bill99 import Bill99
from tael.channels.bill99.payouts import (
    build_payout,
    build_query_payout,
    check,
    parse_payout,
    parse_query_payout,
)
from tael.channels.contract import (
    BadNotification,
    ErrorKind,
    MakesRefunds,
    Outcome,
    PayoutNotPossible,
    PayoutRef,
    PayoutState,
    PaysOut,
    Retry,
    TakesPayments,
    WechatUser,
)
from tael.channels.exchange import HttpRequest, HttpResponse
from tael.channels.transport import Transport

ACCOUNT = account()
DATA_KEY = b"5391207746018263"
SENT = HttpRequest("POST", "/", (), b"")


def parts_of(request: HttpRequest, body: str) -> dict[str, str]:
    seal = ElementTree.fromstring(request.body).find(f"{body}/sealDataType")
    assert seal is not None
    return {part.tag: part.text or "" for part in seal}


def test_what_is_sent():
    sent = build_payout(ACCOUNT, REQUEST, data_key=DATA_KEY)
    assert (sent.method, sent.target) == ("POST", "/fo-pay/pay2bank/pay")
    envelope = ElementTree.fromstring(sent.body)
    assert envelope.tag == "pay2bankRequest"
    assert [part.text for part in envelope.find("pay2bankHead")] == ["1.0", MEMBER_CODE]
    parts = parts_of(sent, "requestBody")
    assert (parts["signedData"], parts["encryptedData"]) == (PAY.signed_data, PAY.encrypted_data)
    assert opened(parts) == PAY.plaintext
    assert build_payout(ACCOUNT, REQUEST, data_key=b"x" * 16).body != sent.body
    assert CARD.number.encode() not in sent.body


SPANS = [
    (PayoutRef(NUMBER), "2026-02-23 12:15:06", "2026-03-02 12:15:06"),
    (PayoutRef(NUMBER, THEIRS, NOW), "2026-03-02 11:55:06", "2026-03-09 11:55:06"),
    (PayoutRef(NUMBER, None, NOW - timedelta(days=9)), "2026-02-21 11:55:06", "2026-02-28 11:55:06"),
]


@pytest.mark.parametrize(("ref", "start", "end"), SPANS)
def test_what_is_asked(ref: PayoutRef, start: str, end: str):
    sent = build_query_payout(ACCOUNT, ref, now=NOW, data_key=DATA_KEY)
    assert sent.target == "/fo-pay-query/pay2bank/query"
    question = ElementTree.fromstring(opened(parts_of(sent, "searchRequestBody")))
    assert {part.tag: part.text for part in question} == {
        "targetPage": "1", "pageSize": "20", "orderId": NUMBER, "startDate": start, "endDate": end,
    }  # fmt: skip


NOT_POSSIBLE = [
    ({"payee": WechatUser("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")}, "payee"),
    ({"payee": replace(CARD, number="6214 8300")}, "payee"),
    ({"payee": replace(CARD, number="1234567")}, "payee"),
    ({"payee": replace(CARD, holder="")}, "payee_name"),
    ({"payee": replace(CARD, holder="张\n三")}, "payee_name"),
    ({"payee": replace(CARD, bank="行" * 65)}, "payee_bank"),
    ({"payee": replace(CARD, mobile="+8613800000000")}, "payee_mobile"),
    ({"amount": Money(0, "CNY")}, "amount"),
    ({"amount": Money(1_000_000_001, "CNY")}, "amount"),
    ({"amount": Money(100, "USD")}, "currency"),
    ({"number": "with-dash"}, "number"),
    ({"number": "1" * 33}, "number"),
    ({"remark": ""}, "remark"),
    ({"remark": "x\u202ey"}, "remark"),
]


@pytest.mark.parametrize(("change", "param"), NOT_POSSIBLE)
def test_what_99bill_would_refuse_is_refused_before(change: dict[str, object], param: str):
    request = replace(REQUEST, **change)
    for act in (lambda: check(ACCOUNT, request), lambda: build_payout(ACCOUNT, request, data_key=DATA_KEY)):
        with pytest.raises(PayoutNotPossible) as refused:
            act()
        assert refused.value.param == param


def test_a_paused_account_starts_nothing_but_repeats_what_was_asked():
    with pytest.raises(PayoutNotPossible):
        check(account(state="paused"), REQUEST)
    assert build_payout(account(state="paused"), REQUEST, data_key=DATA_KEY)
    check(ACCOUNT, replace(REQUEST, payee=replace(CARD, mobile=None)))


UNKNOWN, DONE = Outcome.UNKNOWN, Outcome.SUCCEEDED
EMPTY_SEAL = {"originalData": "", "signedData": "", "encryptedData": "", "digitalEnvelope": ""}
DOCTYPE = accepted().body.replace(b"?>", b'?><!DOCTYPE x [<!ENTITY e "0000">]>', 1)
TWICE = accepted().body.replace(b"<errorCode>", b"<errorCode>0000</errorCode><errorCode>", 1)
# the reply to a payout -> outcome, code
PAYOUT_REPLIES = [
    (accepted(), DONE, None),
    (accepted(order(unknownElement="x", errorCode="0000")), DONE, None),
    (accepted(order(status="112")), DONE, None),
    (accepted(order(orderId="WD2")), UNKNOWN, "unreadable_reply"),
    (accepted(order(amount="50.00")), UNKNOWN, "unreadable_reply"),
    (accepted(order(amount="0")), UNKNOWN, "unreadable_reply"),
    (accepted(order(errorCode="6001")), UNKNOWN, "unreadable_reply"),
    (accepted(b"garbage"), UNKNOWN, "unreadable_reply"),
    (accepted(found()), UNKNOWN, "unreadable_reply"),
    (accepted(signer=MEMBER), UNKNOWN, "bad_seal"),
    (accepted(reader=BILL99), UNKNOWN, "bad_seal"),
    (accepted(parts=EMPTY_SEAL), UNKNOWN, "bad_seal"),
    (accepted(parts=sealed(order()) | {"signedData": ""}), UNKNOWN, "bad_seal"),
    (accepted(parts=sealed(order()) | {"signedData": sealed(order(amount=1))["signedData"]}), UNKNOWN, "bad_seal"),
    (accepted(parts={}), UNKNOWN, "unreadable_reply"),
    (accepted(member="10012138843"), UNKNOWN, "another_member"),
    (accepted(code="6001", message="账户余额不足"), UNKNOWN, "6001"),
    (accepted(code="6001", parts=EMPTY_SEAL), UNKNOWN, "6001"),
    (accepted(code="0004"), UNKNOWN, "0004"),
    (accepted(code="Q0018"), UNKNOWN, "Q0018"),
    (accepted(code="9999"), UNKNOWN, "9999"),
    (accepted(code=""), UNKNOWN, "unreadable_reply"),
    (accepted(code="a b"), UNKNOWN, "unreadable_reply"),
    (accepted(status=500), UNKNOWN, "http_500"),
    (accepted(status=202), UNKNOWN, "http_202"),
    (answered(), UNKNOWN, "unreadable_reply"),
    (HttpResponse(200, (), b""), UNKNOWN, "unreadable_reply"),
    (HttpResponse(200, (), b"<html><body>502</body></html>"), UNKNOWN, "unreadable_reply"),
    (HttpResponse(200, (), DOCTYPE), UNKNOWN, "unreadable_reply"),
    (HttpResponse(200, (), TWICE), UNKNOWN, "unreadable_reply"),
    (HttpResponse(200, (), accepted().body[:-30]), UNKNOWN, "unreadable_reply"),
    (HttpResponse(302, (), b""), UNKNOWN, "http_302"),
]


@pytest.mark.parametrize(("reply", "outcome", "code"), PAYOUT_REPLIES, ids=range(len(PAYOUT_REPLIES)))
def test_replies_to_a_payout(reply: HttpResponse, outcome: Outcome, code: str | None):
    result = parse_payout(ACCOUNT, REQUEST, SENT, reply)
    assert (result.outcome, result.error and result.error.code) == (outcome, code)
    if outcome is DONE:
        assert (result.value.number, result.value.state) == (NUMBER, PayoutState.PROCESSING)
        assert (result.value.amount, result.value.mchid) == (Money(5000, "CNY"), MEMBER_CODE)
    else:
        assert result.value is None


MEANINGS = [
    ("6001", ErrorKind.INSUFFICIENT_CHANNEL_BALANCE, Retry.SAME_REQUEST),
    ("0004", ErrorKind.AUTH, Retry.QUERY_FIRST),
    ("Q0018", ErrorKind.UNKNOWN, Retry.QUERY_FIRST),
    ("never_heard", ErrorKind.UNKNOWN, Retry.QUERY_FIRST),
]


@pytest.mark.parametrize(("code", "kind", "retry"), MEANINGS)
def test_what_codes_mean(code: str, kind: ErrorKind, retry: Retry):
    error = parse_payout(ACCOUNT, REQUEST, SENT, accepted(code=code, message="a\u202eb")).error
    assert (error.kind, error.retry, error.http) == (kind, retry, 200)
    assert error.message == "ab"


STATES = [
    ("100", PayoutState.PROCESSING), ("101", PayoutState.PROCESSING), ("111", PayoutState.PAID),
    ("112", PayoutState.FAILED), ("114", PayoutState.RETURNED),
]  # fmt: skip


@pytest.mark.parametrize(("status", "state"), STATES)
def test_states(status: str, state: PayoutState):
    code = {"112": "B1001", "114": "6001"}.get(status, "0000")
    view = parse_query_payout(ACCOUNT, REF, SENT, answered(found(status=status, errorCode=code))).value
    assert (view.number, view.state, view.channel_ref) == (NUMBER, state, THEIRS)
    assert (view.amount, view.mchid) == (Money(5000, "CNY"), MEMBER_CODE)
    assert view.paid_at == (datetime(2026, 3, 2, 4, 5, 11, tzinfo=UTC) if status == "111" else None)
    kinds = {"112": ErrorKind.DECLINED, "114": ErrorKind.INSUFFICIENT_CHANNEL_BALANCE}
    assert (view.reason and (view.reason.kind, view.reason.code)) == (
        (kinds[status], code) if status in kinds else None
    )


# the reply to a question -> outcome, code
ANSWERS = [
    (answered(found(status="111", endDate="soon")), DONE, None),
    (answered(found(status="112", errorCode="<b>")), DONE, None),
    (answered(found({}, {"orderId": "WD2"})), UNKNOWN, "unreadable_reply"),
    (answered(found({}, {})), UNKNOWN, "unreadable_reply"),
    (answered(found(orderId="WD2")), UNKNOWN, "unreadable_reply"),
    (answered(found(status="113")), UNKNOWN, "unreadable_reply"),
    (answered(found(status="")), UNKNOWN, "unreadable_reply"),
    (answered(found(status=["111", "112"])), UNKNOWN, "unreadable_reply"),
    (answered(found(amount="5000.0")), UNKNOWN, "unreadable_reply"),
    (answered(found(amount="-1")), UNKNOWN, "unreadable_reply"),
    (answered(found(orderSeqId="")), UNKNOWN, "unreadable_reply"),
    (answered(found(payerMembercode="10012138843")), UNKNOWN, "unreadable_reply"),
    (answered(f"{XML}<pay2bankSearchResult/>".encode()), UNKNOWN, "unreadable_reply"),
    (answered(signer=MEMBER), UNKNOWN, "bad_seal"),
    (answered(member="1"), UNKNOWN, "another_member"),
    (answered(code="0004"), UNKNOWN, "0004"),
    (answered(code="6001"), UNKNOWN, "6001"),
    (answered(code="Q0018", status=500), UNKNOWN, "http_500"),
    (answered(code="Q0018", member="1"), UNKNOWN, "another_member"),
    (accepted(), UNKNOWN, "unreadable_reply"),
]


@pytest.mark.parametrize(("reply", "outcome", "code"), ANSWERS, ids=range(len(ANSWERS)))
def test_answers(reply: HttpResponse, outcome: Outcome, code: str | None):
    result = parse_query_payout(ACCOUNT, REF, SENT, reply)
    assert (result.outcome, result.error and result.error.code) == (outcome, code)
    assert (result.value is None) == (outcome is UNKNOWN)


def test_an_order_that_99bill_does_not_know_is_pending():
    for parts in (EMPTY_SEAL, {}):
        result = parse_query_payout(ACCOUNT, REF, SENT, answered(code="Q0018", message="没有查询到结果", parts=parts))
        assert (result.outcome, result.value.state) == (DONE, PayoutState.NOT_FOUND)
        assert (result.error.kind, result.error.retry) == (ErrorKind.NOT_FOUND, Retry.QUERY_FIRST)


@pytest.fixture
def connector():
    transport = Transport(Wire(total_s=0.2))
    yield Bill99(transport)
    transport.close()


def test_it_pays_out_and_does_nothing_else(connector: Bill99):
    assert isinstance(connector, PaysOut)
    assert not isinstance(connector, TakesPayments)
    assert not isinstance(connector, MakesRefunds)


async def test_it_cannot_cancel_and_sends_nothing_to_find_out(connector: Bill99):
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("nothing may be sent")

    async with scripted(answer) as server:
        result = await connector.cancel_payout(account(base_url=server.base_url), REF, now=NOW)
        assert (result.outcome, result.error.code, result.raw.status) == (Outcome.DECLINED, "cannot_cancel", None)
        assert server.connections == 0


@pytest.mark.parametrize("raw", [b"", b"<a/>", accepted().body, answered(found(status="111")).body])
def test_every_notice_is_refused(connector: Bill99, raw: bytes):
    with pytest.raises(BadNotification) as refused:
        connector.verify_notification(ACCOUNT, [("content-type", "text/xml")], raw, now=NOW)
    assert connector.refuse(refused.value).status == 401


# What public integrations of 99bill do wrong, and we do not.


async def test_a_reply_that_takes_longer_than_we_wait_is_not_a_failure(connector: Bill99):
    """Seen elsewhere: three seconds without a reply, any exception, and the payout is marked as failed."""
    served: list[str] = []

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        served.append("pay" if b"/fo-pay/pay2bank/pay " in request else "query")
        if served[-1] == "query":
            writer.write(wired(answered(found(status="111"))))

    async with scripted(answer) as server:
        there = account(base_url=server.base_url)
        silent = await connector.payout(there, REQUEST, now=NOW)
        assert (silent.outcome, silent.error.code) == (Outcome.UNKNOWN, "timeout")
        assert silent.error.retry is Retry.QUERY_FIRST
        asked = await connector.query_payout(there, REF, now=NOW)
        assert asked.value.state is PayoutState.PAID
    assert served == ["pay", "query"]


@pytest.mark.parametrize("status", ["100", "102", "113", "", "success"])
def test_a_status_that_is_not_111_is_not_a_failure(status: str):
    """Seen elsewhere: 101 waits, 111 is success, and everything else has failed."""
    value = parse_query_payout(ACCOUNT, REF, SENT, answered(found(status=status))).value
    assert value is None or value.state is PayoutState.PROCESSING


def test_a_seal_that_does_not_open_is_not_a_failure():
    """Seen elsewhere: nothing decrypted, so the payout has failed."""
    result = parse_query_payout(ACCOUNT, REF, SENT, answered(found(status="112"), reader=BILL99))
    assert (result.outcome, result.error.kind) == (Outcome.UNKNOWN, ErrorKind.BAD_SIGNATURE)


def test_an_order_unknown_for_long_is_not_a_failure():
    """Seen elsewhere: not found two hours after asking, so the payout has failed."""
    ref = PayoutRef(NUMBER, None, NOW - timedelta(days=5))
    assert parse_query_payout(ACCOUNT, ref, SENT, answered(code="Q0018")).value.state is PayoutState.NOT_FOUND


def test_an_error_code_is_not_a_failure():
    """Seen elsewhere: any errorCode but 0000 in the reply, which nobody has signed, and the payout has failed."""
    for code in ("6001", "0004", "9999", "1"):
        assert parse_payout(ACCOUNT, REQUEST, SENT, accepted(code=code)).outcome is Outcome.UNKNOWN


def test_a_return_after_success_is_told():
    """Seen elsewhere: the order is over once it is paid, and the money that comes back is nobody's."""
    states = [
        parse_query_payout(ACCOUNT, REF, SENT, answered(found(status=status))).value.state for status in ("111", "114")
    ]
    assert states == [PayoutState.PAID, PayoutState.RETURNED]
