"""What is common to all request bodies: reading them, and judging the address that notices shall go to."""

import re
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from tael_sandbox.wechat.refusals import Detail, Refusal
from tael_sandbox.wechat.state import Wechat
from tael_sandbox.world import LOOPBACK

_WHERE = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?\Z", re.DOTALL)
_T = TypeVar("_T")


def read(decoder: msgspec.json.Decoder[_T], raw: bytes) -> _T:
    """The body as the operation wants it. Raises ``Refusal`` PARAM_ERROR naming the field."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        said = _WHERE.match(str(error))
        issue, field = (said[1], said[2] or "") if said else (str(error), "")
        name = "/" + field.replace(".", "/")
        raise Refusal("PARAM_ERROR", message=f"参数错误 {name}", detail=Detail(name, issue)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal("PARAM_ERROR", message="请求体不是合法的JSON", detail=Detail("/", "not JSON")) from error


def missing(field: str) -> Refusal:
    """The refusal for a field that this request needs."""
    return Refusal("PARAM_ERROR", message=f"缺少参数 {field}", detail=Detail(field, "missing"))


def check_url(wechat: Wechat, url: str) -> None:
    """https without query; plain http only to this machine or a host the sandbox was told about. Raises ``Refusal``."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise _bad_url(url) from None
    plain = parts.scheme == "http" and (host in LOOPBACK or host in wechat.notify_hosts)
    if not host or not (plain or parts.scheme == "https") or parts.query or parts.fragment or not url.isascii():
        raise _bad_url(url)


def _bad_url(url: str) -> Refusal:
    return Refusal("PARAM_ERROR", message="notify_url无效", detail=Detail("/notify_url", "not usable", value=url))
