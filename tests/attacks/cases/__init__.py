"""The table of attacks, by what they attack. `ALL` is what runs and what docs/attacks.md shows."""

from attacks.cases import alipay, amounts, decisions, fields, idempotency, keys, lists, notices, outgoing, wire

ALL = {
    "Amounts and numbers": amounts.CASES,
    "Fields, text and currency": fields.CASES,
    "HTTP itself": wire.CASES,
    "Lists, cursors and paths": lists.CASES,
    "Keys and authorization": keys.CASES,
    "Idempotency keys": idempotency.CASES,
    "Money that moves out: the request": outgoing.CASES,
    "Money that moves out: who decides": decisions.APPROVALS,
    "Money that moves out: other people's": decisions.OTHERS,
    "Money that moves out: what may be asked": decisions.BUSINESS,
    "Notices from channels": notices.CASES,
    "Notices from Alipay": alipay.CASES,
}
