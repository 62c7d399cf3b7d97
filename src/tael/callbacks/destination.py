"""Where a callback may go: a strictly read URL, and addresses that belong to the public internet.

    text -> Destination (the shape is right) -> addresses of its name -> every one is public -> connect to one of them

The same rules are applied twice: when a business registers an endpoint, as a courtesy, and whenever a connection is
opened, because a name may by then lead elsewhere. A program on this machine can be an endpoint in test mode only,
when the operator allows it.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal

from tael.base.errors import TaelError

Mode = Literal["test", "live"]
Address = IPv4Address | IPv6Address


class UrlNotAllowed(TaelError):
    """Callbacks are not sent to this URL: only https to public addresses, on port 443 or 8443, without credentials.
    zh: 不允许回调该地址：仅支持 https 公网地址、443 或 8443 端口，且不得包含用户名或密码。
    """

    status = 422


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL taken apart once, so that no other parser reads it again. `target` is path and query as sent."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.scheme == "https" else 80
        return host if self.port == usual else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Policy:
    """What this installation permits. `allow_loopback` has no effect in live mode."""

    mode: Mode
    allow_loopback: bool = False

    def read(self, url: str) -> Destination:
        """Take a URL apart. Raises `UrlNotAllowed` for whatever no address could make right."""
        matched = _URL.fullmatch(url) if len(url) <= 2048 else None
        if matched is None:
            raise UrlNotAllowed("not a plain http(s) URL without user, password or fragment", param="url")
        scheme, host = matched["scheme"].lower(), matched["host"].lower().strip("[]")
        if scheme == "http" and self.mode == "live":
            raise UrlNotAllowed("https is required in live mode", param="url")
        _check_host(host)
        port = int(matched["port"] or (443 if scheme == "https" else 80))
        loopback_port = self._loopback and 1024 <= port < 65536
        if port not in (443, 8443) and not loopback_port:
            raise UrlNotAllowed(f"port {port}", param="url", hint="use port 443 or 8443")
        return Destination("https" if scheme == "https" else "http", host, port, _target(matched["target"]))

    def check(self, address: Address, *, port: int) -> None:
        """Raises `UrlNotAllowed` unless a connection to this address and port is permitted."""
        if address.is_loopback and self._loopback and port >= 1024:
            return
        if not is_public(address):
            raise UrlNotAllowed("the address is not a public one", param="url")
        if port not in (443, 8443):
            raise UrlNotAllowed(f"port {port}", param="url")

    @property
    def _loopback(self) -> bool:
        return self.allow_loopback and self.mode == "test"


def is_public(address: Address) -> bool:
    """Whether the address is an ordinary one of the public internet.

    Addresses that stand for another address (mapped, NAT64, 6to4, Teredo) are refused whatever they stand for: no
    business publishes one, and a gateway would translate it to a place we have not looked at.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return address in _GLOBAL_UNICAST_6 and not any(address in network for network in _NOT_PUBLIC_6)


def literal(host: str) -> Address | None:
    """The address that `host` spells out, or None when it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


_URL = re.compile(
    r"""(?P<scheme>https?)://
        (?P<host>[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])
        (?::(?P<port>[0-9]{1,5}))?
        (?P<target>[/?][a-z0-9._~!$&'()*+,;=:@%/?-]*)?""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)

_NOT_PUBLIC_4 = [
    IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip
_GLOBAL_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = [IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]


def _check_host(host: str) -> None:
    """A host is a canonical address or a full DNS name. `127.1` and `0x7f.1` are neither, although resolvers accept
    them, and a name of one label would be completed from this machine's search domains."""
    if literal(host) is not None or host == "localhost":
        return
    labels = host.split(".")
    if len(labels) < 2 or _NUMBER.fullmatch(labels[-1]) or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlNotAllowed("the host is neither a full name nor an address", param="url")


def _target(text: str | None) -> str:
    if not text:
        return "/"
    return text if text.startswith("/") else f"/{text}"
