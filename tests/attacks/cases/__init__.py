"""The table of attacks, by what they attack. `ALL` is what runs and what docs/attacks.md shows."""

from attacks.cases import amounts, fields, idempotency, keys, lists, notices, wire

ALL = {
    "Amounts and numbers": amounts.CASES,
    "Fields, text and currency": fields.CASES,
    "HTTP itself": wire.CASES,
    "Lists, cursors and paths": lists.CASES,
    "Keys and authorization": keys.CASES,
    "Idempotency keys": idempotency.CASES,
    "Notices from channels": notices.CASES,
}
