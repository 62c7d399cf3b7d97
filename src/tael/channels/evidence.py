"""What is kept of an exchange: enough to prove later who said what, nothing that tells who the payer is."""

import hashlib
import re
from urllib.parse import unquote_to_bytes

from tael.channels.exchange import HttpRequest, HttpResponse, RawExchange

_KEPT = 4096
_PERSONAL = re.compile(
    r'"(openid|sub_openid|sp_openid|payer_client_ip|user_name|user_received_account|phone|mobile|bank_account|id_card_number'
    r'|identity|name|buyer_logon_id|buyer_user_id|buyer_open_id)"(\s*:\s*)'
    r'"(?:[^"\\]|\\.)*"'
)
_FORM = b"biz_content="
_SIGN = re.compile(r"(?<=[?&]sign=)[^&]*")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def evidence(request: HttpRequest, response: HttpResponse | None, *, elapsed_ms: int) -> RawExchange:
    """Redact and hash one exchange; `response` is None when no complete reply came."""
    return RawExchange(
        method=request.method,
        target=_SIGN.sub("***", request.target),
        request_body=redact(request.body),
        request_sha256=hashlib.sha256(request.body).hexdigest(),
        status=response.status if response else None,
        response_body=redact(response.body) if response else "",
        response_sha256=hashlib.sha256(response.body).hexdigest() if response else None,
        request_id=_header(response, "request-id"),
        elapsed_ms=elapsed_ms,
    )


def redact(body: bytes) -> str:
    """A body as text that PostgreSQL can store: personal fields blanked first, then cut to 4,096 characters.

    JSON inside a form is decoded for that.
    """
    if body.startswith(_FORM):
        body = unquote_to_bytes(body.replace(b"+", b" "))
    text = _PERSONAL.sub(r'"\1"\2"***"', body.decode("utf-8", "replace"))
    return _UNPRINTABLE.sub("\ufffd", text)[:_KEPT]


def _header(response: HttpResponse | None, name: str) -> str | None:
    found = [value for key, value in response.headers if key == name] if response else []
    return _UNPRINTABLE.sub("", found[0])[:128] if found else None
