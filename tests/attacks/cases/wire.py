"""HTTP itself: encodings, sizes, nesting, content types, methods. What needs a raw socket is in test_sockets.py."""

from attacks.arena import JSON, Arena, Call, Case
from attacks.cases.recharges import ask, body, get, recharge, with_headers

_MEDIA = ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
          "application/json-patch+json", "text/json", "application/jsonp", "x"]  # fmt: skip
_NOT_JSON = [
    ("V49", "bytes that are not UTF-8", lambda good: good.replace(b"hostile", b"\xff\xfe")),
    ("V49", "UTF-16", lambda good: good.decode().encode("utf-16")),
    ("V49", "UTF-32", lambda good: good.decode().encode("utf-32")),
    ("V49", "a byte order mark", lambda good: b"\xef\xbb\xbf" + good),
    ("V49", "GBK", lambda good: good.replace(b"hostile", "充值".encode("gbk"))),
    ("V49", "an overlong encoding of NUL", lambda good: good.replace(b"hostile", b"\xc0\x80")),
    ("V49", "a surrogate in UTF-8", lambda good: good.replace(b"hostile", b"\xed\xa0\x80")),
    ("V24", "two documents", lambda good: good + good),
    ("V24", "a comma too many", lambda good: good[:-1] + b",}"),
    ("V24", "a comment", lambda good: good[:-1] + b"/* x */}"),
    ("V24", "cut off", lambda good: good[:-1]),
    ("V24", "single quotes", lambda good: good.replace(b'"', b"'")),
    ("V24", "a raw line break in a text", lambda good: good.replace(b"hostile", b"a\nb")),
    ("V24", "a form", lambda good: b"amount=100&currency=CNY"),
    ("V24", "XML", lambda good: b'<?xml version="1.0"?><recharge><amount>100</amount></recharge>'),
    ("V24", "a text", lambda good: b'"recharge"'),
    ("V24", "a list", lambda good: b"[" + good + b"]"),
    ("V24", "null", lambda good: b"null"),
    ("V24", "a number", lambda good: b"1"),
    ("V48", "deep lists", lambda good: b"[" * 30_000),
    ("V48", "deep lists that end", lambda good: b"[" * 20_000 + b"]" * 20_000),
    ("V48", "deep objects", lambda good: b'{"a":' * 10_000),
    ("V48", "17 levels in metadata", lambda good: good[:-1] + b',"metadata":' + b'{"a":' * 17 + b"1" + b"}" * 18),
]  # fmt: skip
_METHODS = [("PUT", "/v1/recharges"), ("DELETE", "/v1/recharges"), ("PATCH", "/v1/recharges/{order}"),
            ("DELETE", "/v1/recharges/{order}"), ("PUT", "/v1/accounts/{account}"),
            ("GET", "/v1/recharges/{order}/pay"),
            ("OPTIONS", "/v1/recharges"), ("HEAD", "/v1/recharges"), ("TRACE", "/v1/recharges")]  # fmt: skip


def _empty(arena: Arena) -> Call:
    del arena
    return Call("POST", "/v1/recharges", b"", JSON | {"Idempotency-Key": "hostile"})


CASES = [
    *(Case(id, what, body(change), 400, "invalid_json") for id, what, change in _NOT_JSON),
    Case("V24", "no body", _empty, 400, "invalid_json"),
    *(Case("V46", f"content type {media}", with_headers(recharge(), Content_Type=media), 415, "unsupported_media_type")
      for media in _MEDIA),
    Case("V46", "JSON said to be UTF-16", with_headers(recharge(), Content_Type="application/json; charset=utf-16"),
         415, "unsupported_media_type"),
    Case("V46", "compressed", with_headers(body(b"\x1f\x8b\x08\x00\x00\x00"), Content_Encoding="gzip"),
         415, "unsupported_media_type"),
    Case("V47", "64 KiB and one byte", body(lambda good: good + b" " * (65_537 - len(good))), 413, "body_too_large"),
    Case("V47", "10 MB", body(b" " * 10_000_000), 413, "body_too_large"),
    Case("V53", "40 kB of headers", get("/v1/recharges", X_Filler="x" * 40_000), 431, "headers_too_large"),
    Case("V53", "40 kB of query", get("/v1/recharges?state=" + "x" * 40_000), 431, "headers_too_large"),
    *(Case("V64", f"{method} {path}", ask(method, path), 405, "" if method == "HEAD" else "method_not_allowed")
      for method, path in _METHODS),
    Case("V64", "a method from a header", ask("GET", "/v1/recharges/{order}/close", X_HTTP_Method_Override="POST"),
         405, "method_not_allowed"),
]  # fmt: skip
