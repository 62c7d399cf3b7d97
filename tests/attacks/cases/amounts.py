"""Amounts: a whole number of minor units from 1 to what the ledger holds, and nothing that only looks like one."""

from attacks.arena import Case
from attacks.cases.recharges import raw, recharge

RAW = [
    ("V01", "zero", b"0"),
    ("V02", "minus one", b"-1"),
    ("V02", "minus zero", b"-0"),
    ("V04", "one and a half", b"1.5"),
    ("V05", "a whole number written with a fraction", b"100.0"),
    ("V06", "a whole number with an exponent", b"1e2"),
    ("V09", "a number too small for a float", b"1e-400"),
    ("V10", "2^53+1 as a float", b"9007199254740993.0"),
    ("V11", "2^63", b"9223372036854775808"),
    ("V11", "2^64+100, which wraps to 100", b"18446744073709551716"),
    ("V12", "a text of digits", b'"100"'),
    ("V13", "full-width digits", '"１００"'.encode()),
    ("V13", "an Arabic digit", '"٣"'.encode()),
    ("V14", "an underscore", b'"1_000"'),
    ("V15", "a thousands separator", b'"1,000"'),
    ("V16", "a plus sign in a text", b'"+100"'),
    ("V17", "hexadecimal in a text", b'"0x64"'),
    ("V18", "an empty text", b'""'),
    ("V19", "true", b"true"),
    ("V20", "a list", b"[100]"),
    ("V21", "null", b"null"),
    ("V21", "an object", b'{"minor":100}'),
    ("V24", "yuan with a decimal point in a text", b'"1.00"'),
]
NOT_JSON = [
    ("V07", "NaN", b"NaN"),
    ("V08", "Infinity", b"Infinity"),
    ("V08", "minus Infinity", b"-Infinity"),
    ("V08", "1e400, which a float makes infinite", b"1e400"),
    ("V16", "a plus sign", b"+100"),
    ("V17", "hexadecimal", b"0x64"),
    ("V17", "a leading zero", b"0100"),
    ("V18", "nothing", b""),
    ("V11", "5,000 digits", b"9" * 5000),
]

CASES = [
    *(Case(id, what, raw("amount", text), 422, "invalid_amount") for id, what, text in RAW),
    *(Case(id, what, raw("amount", text), 400, "invalid_json") for id, what, text in NOT_JSON),
    Case("V22", "missing", recharge(amount=...), 422, "missing_field"),
    Case("V23", "given twice, cheap first", raw("amount", b'1,"amount":100'), 400, "invalid_json"),
    Case("V23", "given twice, the name escaped once", raw("amount", b'1,"am\\u006funt":100'), 400, "invalid_json"),
    Case("V11", "more than the channel takes", recharge(amount=10**15), 422, "payment_not_possible"),
]
