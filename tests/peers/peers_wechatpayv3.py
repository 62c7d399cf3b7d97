"""What both SDK test files need: constructor arguments for a merchant, and an endpoint that keeps notices."""

from collections.abc import Callable
from dataclasses import dataclass, field

from notice_endpoint import NoticeEndpoint
from tael_sandbox import MerchantView


def settings(merchant: MerchantView, *, kind: str, notify_url: str) -> dict[str, object]:
    """Constructor arguments of the SDK. ``kind``: ``public_key`` or ``certificate``."""
    said: dict[str, object] = {
        "mchid": merchant.mchid,
        "private_key": merchant.private_key_pem,
        "cert_serial_no": merchant.serial,
        "appid": merchant.appid,
        "apiv3_key": merchant.apiv3_key,
        "notify_url": notify_url,
    }
    if kind == "public_key":
        said |= {"public_key": merchant.public_key_pem, "public_key_id": merchant.public_key_id}
    return said


@dataclass
class Notices(NoticeEndpoint):
    """A merchant's notice endpoint; keeps (headers, body) as the SDK's ``callback`` wants them."""

    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    _check: Callable[[dict[str, str], bytes], object] = lambda headers, body: True

    def refuse_unless(self, check: Callable[[dict[str, str], bytes], object]) -> None:
        """Answer 401 to a notice for which ``check`` gives nothing."""
        self._check = check

    def take(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        self.heard.append((headers, body))
        return 204 if self._check(headers, body) else 401, ""
