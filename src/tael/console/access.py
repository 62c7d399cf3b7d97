"""Who may look: a link with a signed expiry opens the console for a day. `tael console` prints one.

The link's key is HMAC-SHA256 of its expiry and of the person it was made for, under the master key; nothing is
stored, and a new master key ends all links. The key moves into a cookie at once, so it does not stay in the address
bar. A link for a person may also decide, on a test system; forms carry a token that only this cookie's pages know.
"""

import hashlib
import hmac
import re
from datetime import datetime, timedelta

from tael.base.errors import TaelError

COOKIE = "tael_console"
LIFETIME = timedelta(hours=24)
NOBODY = "-"
"""The person of a link that may only look."""
_PERSON = re.compile(r"[a-z0-9_@-]{1,64}")


class ConsoleLinkNeeded(TaelError):
    """Open the console with a link from `tael console`; it is valid for a day.
    zh: 请使用 tael console 命令生成的链接打开后台，链接有效期一天。
    """

    status = 403


class FormExpired(TaelError):
    """The form is too old or was not sent from this console; open the page again.
    zh: 表单已失效或来源不符，请重新打开页面。
    """

    status = 403


def make_key(master_key: bytes, *, now: datetime, person: str = NOBODY) -> str:
    """A key that opens the console until a day after `now`, for `person` (letters, digits, `_`, `@`, `-`)."""
    assert _PERSON.fullmatch(person), person
    signed = f"{int((now + LIFETIME).timestamp())}.{person}"
    return f"{signed}.{_sign(master_key, f'console:{signed}')}"


def check_key(master_key: bytes, key: str, *, now: datetime) -> str:
    """The person a genuine key was made for. Raises `ConsoleLinkNeeded` when it is forged or over."""
    signed, _, signature = key.rpartition(".")
    until, _, person = signed.partition(".")
    genuine = hmac.compare_digest(signature.encode(), _sign(master_key, f"console:{signed}").encode())
    if not genuine or not until.isdigit() or int(until) < int(now.timestamp()):
        raise ConsoleLinkNeeded
    return person


def form_token(master_key: bytes, key: str) -> str:
    """What a form on a page opened with `key` has to send back."""
    return _sign(master_key, f"form:{key}")


def check_form(master_key: bytes, key: str, token: str) -> None:
    """Raise `FormExpired` unless `token` was made for `key`."""
    if not hmac.compare_digest(token.encode(), form_token(master_key, key).encode()):
        raise FormExpired


def _sign(master_key: bytes, text: str) -> str:
    return hmac.new(master_key, text.encode(), hashlib.sha256).hexdigest()
