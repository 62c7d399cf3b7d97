"""W01-W08: where callbacks may go. Every row is a URL, an installation and whether it is permitted."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tael.callbacks.destination import Mode, Policy, UrlNotAllowed, is_public
from tael.callbacks.transport import Transport

PUBLIC, PRIVATE = "93.184.216.34", "10.1.2.3"
NAMES = {
    "shop.example.com": [PUBLIC],
    "six.example.com": ["2606:2800:220:1:248:1893:25c8:1946"],
    "inside.example.com": [PRIVATE],
    "mixed.example.com": [PUBLIC, "192.168.0.1"],
    "metadata.example.com": ["169.254.169.254"],
    "mapped.example.com": ["::ffff:10.0.0.1"],
    "scoped.example.com": ["fe80::1%eth0"],
    "localhost": ["127.0.0.1"],
    "empty.example.com": [],
}

LIVE = [
    ("https://shop.example.com/hook", True),
    ("https://shop.example.com", True),
    ("https://shop.example.com?a=b", True),
    ("https://shop.example.com:8443/hook?x=1%20y", True),
    ("HTTPS://SHOP.EXAMPLE.COM/hook", True),
    (f"https://{PUBLIC}/hook", True),
    ("https://six.example.com/hook", True),
    ("https://[2606:2800:220:1:248:1893:25c8:1946]/", True),
    # W01
    ("http://shop.example.com/hook", False),
    ("http://shop.example.com:443/hook", False),
    ("ftp://shop.example.com/hook", False),
    ("file:///etc/passwd", False),
    ("//shop.example.com/hook", False),
    ("shop.example.com/hook", False),
    ("", False),
    # W02: addresses that are not of the public internet, however they are written
    ("https://127.0.0.1/", False),
    ("https://127.0.0.1:8443/", False),
    ("https://[::1]/", False),
    ("https://0.0.0.0/", False),
    ("https://[::]/", False),
    ("https://169.254.169.254/latest/meta-data/", False),
    ("https://10.0.0.1/", False),
    ("https://172.31.255.255/", False),
    ("https://192.168.1.1/", False),
    ("https://100.64.0.1/", False),
    ("https://192.0.0.8/", False),
    ("https://198.18.0.1/", False),
    ("https://224.0.0.1/", False),
    ("https://255.255.255.255/", False),
    ("https://[fd00::1]/", False),
    ("https://[fe80::1]/", False),
    ("https://[fe80::1%25eth0]/", False),
    ("https://[fec0::1]/", False),
    ("https://[ff02::1]/", False),
    ("https://[::ffff:127.0.0.1]/", False),
    ("https://[::127.0.0.1]/", False),
    ("https://[64:ff9b::7f00:1]/", False),
    ("https://[64:ff9b:1::a00:1]/", False),
    ("https://[2002:7f00:1::]/", False),
    ("https://[2001:0:7f00:1::]/", False),
    ("https://[2001:db8::1]/", False),
    ("https://127.1/", False),
    ("https://2130706433/", False),
    ("https://0x7f.0.0.1/", False),
    ("https://0x7f000001/", False),
    ("https://0177.0.0.1/", False),
    ("https://example.0x7f/", False),
    # W04: names that lead inside
    ("https://inside.example.com/", False),
    ("https://mixed.example.com/", False),
    ("https://metadata.example.com/", False),
    ("https://mapped.example.com/", False),
    ("https://scoped.example.com/", False),
    ("https://localhost/", False),
    ("https://localhost:8443/", False),
    ("https://intranet/", False),
    ("https://unknown.example.com/", False),
    ("https://empty.example.com/", False),
    # W07 and other ways to say one host and mean another
    ("https://user@shop.example.com/", False),
    ("https://user:password@shop.example.com/", False),
    ("https://shop.example.com@127.0.0.1/", False),
    ("https://shop.example.com\\@127.0.0.1/", False),
    ("https://shop.example.com#@127.0.0.1/", False),
    ("https://shop.example.com/#fragment", False),
    ("https://shop.example.com./", False),
    ("https://shop..example.com/", False),
    ("https://-shop.example.com/", False),
    ("https://shop.example.com /", False),
    (" https://shop.example.com/", False),
    ("https://shop.example.com/\r\nx-injected: 1", False),
    ("https://shop.example.com/\n", False),
    ("https://shop.example.com/\x00", False),
    ("https://shop.example.com/ä", False),
    ("https://shöp.example.com/", False),
    ("https://ｓhop.example.com/", False),
    ("https://shop。example.com/", False),
    ("https://shop.example.com/" + "a" * 2048, False),
    # W08
    ("https://shop.example.com:80/", False),
    ("https://shop.example.com:22/", False),
    ("https://shop.example.com:5432/", False),
    ("https://shop.example.com:8080/", False),
    ("https://shop.example.com:0/", False),
    ("https://shop.example.com:65536/", False),
    ("https://shop.example.com:99999/", False),
    ("https://shop.example.com:-443/", False),
    ("https://shop.example.com:४४३/", False),
    ("https://shop.example.com:/", False),
]
TEST_WITH_LOOPBACK = [
    ("http://127.0.0.1:8701/hook", True),
    ("http://localhost:8701/hook", True),
    ("http://[::1]:8701/hook", True),
    ("https://127.0.0.1:8701/hook", True),
    ("https://shop.example.com/hook", True),
    ("http://127.0.0.1/hook", False),
    ("http://127.0.0.1:1023/hook", False),
    ("http://127.0.0.1:443/hook", False),
    ("http://127.0.0.1:65536/hook", False),
    ("http://shop.example.com:8701/hook", False),
    ("http://inside.example.com:8701/hook", False),
    ("http://[::ffff:127.0.0.1]:8701/hook", False),
    ("http://169.254.169.254:8701/hook", False),
]
WITHOUT_LOOPBACK = [
    ("http://127.0.0.1:8701/hook", False),
    ("https://localhost:8443/hook", False),
    ("https://shop.example.com/hook", True),
]


async def look_up(host: str) -> list[str]:
    if host not in NAMES:
        raise OSError("no such name")
    return NAMES[host]


@pytest.mark.parametrize(
    ("mode", "allow_loopback", "url", "permitted"),
    [("live", False, *row) for row in LIVE]
    + [("live", True, *row) for row in WITHOUT_LOOPBACK]  # the setting has no effect in live mode
    + [("test", False, *row) for row in WITHOUT_LOOPBACK]
    + [("test", True, *row) for row in TEST_WITH_LOOPBACK],
)
async def test_where_callbacks_may_go(mode: Mode, allow_loopback: bool, url: str, permitted: bool) -> None:
    transport = Transport(Policy(mode, allow_loopback=allow_loopback), resolve=look_up)
    if permitted:
        await transport.check(url)
    else:
        with pytest.raises(UrlNotAllowed):
            await transport.check(url)
    await transport.close()


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_what_python_calls_not_global_is_never_public_here(address: object) -> None:
    found = ip_address(str(address))
    assert not is_public(found) or found.is_global


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://shop.example.com{text}"):
        try:
            destination = Policy("live").read(url)
        except UrlNotAllowed:
            continue
        assert destination.scheme == "https"
        assert destination.port in (443, 8443)
        assert "@" not in destination.host
