"""Who may look: a link with a signed expiry opens the console for a day. `tael console` prints one.

The link's key is HMAC-SHA256 of its expiry under the master key; nothing is stored, and a new master key ends all
links. The key moves into a cookie at once, so it does not stay in the address bar.
"""

import hashlib
import hmac
from datetime import datetime, timedelta

from tael.base.errors import TaelError

COOKIE = "tael_console"
LIFETIME = timedelta(hours=24)


class ConsoleLinkNeeded(TaelError):
    """Open the console with a link from `tael console`; it is valid for a day.
    zh: 请使用 tael console 命令生成的链接打开后台，链接有效期一天。
    """

    status = 403


def make_key(master_key: bytes, *, now: datetime) -> str:
    """A key that opens the console until a day after `now`."""
    until = str(int((now + LIFETIME).timestamp()))
    return f"{until}.{_sign(master_key, until)}"


def check_key(master_key: bytes, key: str, *, now: datetime) -> None:
    """Raise `ConsoleLinkNeeded` unless `key` is genuine and not over."""
    until, _, signature = key.partition(".")
    genuine = hmac.compare_digest(signature.encode(), _sign(master_key, until).encode())
    if not genuine or not until.isdigit() or int(until) < int(now.timestamp()):
        raise ConsoleLinkNeeded


def _sign(master_key: bytes, until: str) -> str:
    return hmac.new(master_key, f"console:{until}".encode(), hashlib.sha256).hexdigest()
