"""Which addresses are refused before anything is sent."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadmap_rag.errors import BlockedError
from roadmap_rag.fetch.vetting import vet, why_refused

REFUSED_RANGES = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254 168.63.129.16 169.254.0.1
169.254.169.254 169.254.170.2 169.254.169.123 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.9 192.0.0.170 192.0.0.192 192.0.2.1
192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1 192.168.255.255 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1
224.0.0.1 232.1.2.3 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:a9fe:a9fe ::ffff:0:127.0.0.1 64:ff9b::7f00:1
64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 100:0:0:1::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1
2001:db8::1 2002:7f00:1:: 2002:a00:1::1 2002:808:808::1 2620:4f:8000::1 3fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fd12:3456::1
fe80::1 fe80::5efe:10.0.0.1 2a00:1450:4001::5efe:a00:1 fec0::1 ff02::1 ff0e::1
""".split()

ALLOWED_RANGES = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 93.184.215.14 100.63.255.255 100.128.0.1 128.0.0.1 151.101.1.6 172.15.255.255 172.32.0.1
192.167.255.255 192.169.0.1 198.17.255.255 198.20.0.1 223.255.255.255 2606:4700:4700::1111 2001:4860:4860::8888 2a00:1450:4001:80e::200e
2620:0:2d0:200::7
""".split()

REFUSED_ADDRESSES = {
    # not the web
    "file": "file:///etc/passwd",
    "ftp": "ftp://example.com/a",
    "gopher": "gopher://example.com:70/_a",
    "data": "data:text/html,hello",
    "script": "javascript:alert(1)",
    "no scheme": "example.com/a",
    "no scheme, two slashes": "//example.com/a",
    "no host": "http:///a",
    "no host at all": "http:a",
    "empty": "",
    # somebody's name in front
    "user": "https://user@example.com/",
    "user and password": "https://user:password@example.com/",
    "host as a user": "https://example.com@10.0.0.1/",
    "empty user": "https://@example.com/",
    "backslash before a user": "https://example.com\\@10.0.0.1/",
    "two users": "https://a@b@example.com/",
    # numbers in unusual spellings
    "one number": "http://2130706433/",
    "one hexadecimal number": "http://0x7f000001/",
    "one octal number": "http://017700000001/",
    "octal": "http://0177.0.0.1/",
    "hexadecimal": "http://0x7f.0x0.0x0.0x1/",
    "hexadecimal in part": "http://127.0.0.0x1/",
    "short": "http://127.1/",
    "three parts": "http://127.0.1/",
    "zeros in front": "http://127.000.000.001/",
    "overflow": "http://192.168.257/",
    "overflow and dot": "http://192.168.257./",
    "nothing after 0x": "https://0x.0x.0",
    "only 0x": "http://0x/",
    "too many parts": "http://1.2.3.4.5/",
    "too large": "http://256.256.256.256/",
    "dot behind": "http://127.0.0.1./",
    "public in hexadecimal": "http://0x08080808/",
    "percent": "http://%31%32%37.0.0.1/",
    "percent in a name": "http://local%68ost/",
    "percent dot": "http://127%2e0%2e0%2e1/",
    "full width": "http://１２７.０.０.１/",
    "full-width dots": "http://127．0．0．1/",
    "ideographic dots": "http://127。0。0。1/",
    "ideographic dots, zeros in front": "http://127。0。0。01/",
    "circled": "http://①②⑦.⓪.⓪.①/",
    "full-width name": "http://ｌｏｃａｌｈｏｓｔ/",
    "mathematical name": "http://𝐥𝐨𝐜𝐚𝐥𝐡𝐨𝐬𝐭/",
    # literals
    "loopback": "http://127.0.0.1/",
    "loopback with a port": "http://127.0.0.1:8080/",
    "private": "https://192.168.1.1/admin",
    "loopback 6": "http://[::1]/",
    "mapped": "http://[::ffff:127.0.0.1]/",
    "mapped in hexadecimal": "http://[::ffff:7f00:1]/",
    "long mapped": "http://[0:0:0:0:0:ffff:7f00:1]/",
    "NAT64": "http://[64:ff9b::a9fe:a9fe]/",
    "6to4": "http://[2002:7f00:1::]/",
    "zone": "http://[fe80::1%25eth0]/",
    "zone, unescaped": "http://[fe80::1%eth0]/",
    "broken brackets": "http://[::1/",
    "no IPv6": "http://[nonsense]/",
    # names inside
    "localhost": "http://localhost/",
    "localhost in capitals": "http://LOCALHOST/",
    "localhost with a dot": "http://localhost./",
    "below localhost": "http://app.localhost/",
    "single label": "http://intranet/",
    "router": "http://router.local/",
    "kubernetes": "http://kubernetes.default.svc/",
    "docker": "http://host.docker.internal/",
    "home": "http://nas.home.arpa/",
    "lan": "http://printer.lan/",
    "rebinding": "http://127.0.0.1.nip.io/",
    "rebinding by a name": "http://localtest.me/",
    "dot only": "http://./",
    "empty label": "http://a..example.com/",
    "two dots behind": "http://example.com../",
    "hyphen first": "http://-a.example.com/",
    "label too long": f"http://{'a' * 64}.example.com/",
    "name too long": f"http://{'a.' * 130}com/",
    # metadata services of clouds
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "metadata of containers": "http://169.254.170.2/v2/credentials",
    "metadata 6": "http://[fd00:ec2::254]/latest/meta-data/",
    "metadata by name": "http://metadata.google.internal/computeMetadata/v1/",
    "metadata by name, dot": "http://metadata.google.internal./",
    "metadata by short name": "http://metadata/computeMetadata/v1/",
    "metadata by other name": "http://metadata.goog/",
    "metadata in hexadecimal": "http://0xa9fea9fe/",
    "metadata 100.100": "http://100.100.100.200/latest/meta-data/",
    "metadata 192.0.0": "http://192.0.0.192/opc/v2/",
    "wire server": "http://168.63.129.16/machine",
    "metadata of a cloud": "http://api.metadata.cloud.ibm.com/",
    # ports and characters
    "port 0": "http://example.com:0/",
    "port too large": "http://example.com:99999/",
    "port in letters": "http://example.com:http/",
    "line feed": "http://example.com/\nHost: a",
    "tab in the host": "http://exa\tmple.com/",
    "space in the host": "http://exa mple.com/",
    "nul": "http://example.com\x00.evil.com/",
    "backslash": "http://example.com\\.evil.com/",
}

ALLOWED_ADDRESSES = {
    "https://huggingface.co/blog/rlhf": "https://huggingface.co/blog/rlhf",
    "http://jalammar.github.io/": "http://jalammar.github.io/",
    "HTTPS://GitHub.com/A/B": "https://github.com/A/B",
    "https://example.com": "https://example.com",
    "https://example.com./a": "https://example.com/a",
    "https://example.com:8443/a?b=c": "https://example.com:8443/a?b=c",
    "https://example.com:443/a": "https://example.com/a",
    "https://originshq.com/blog/a/#ib-toc-anchor-0": "https://originshq.com/blog/a/",
    "https://r2cdn.perplexity.ai/full-logo%402x.png": "https://r2cdn.perplexity.ai/full-logo%402x.png",
    "https://www.youtube.com/@3blue1brown": "https://www.youtube.com/@3blue1brown",
    "https://bücher.de/ä": "https://xn--bcher-kva.de/%C3%A4",
    "https://xn--bcher-kva.de/": "https://xn--bcher-kva.de/",
    "https://1.1.1.1/dns": "https://1.1.1.1/dns",
    "https://[2606:4700:4700::1111]/": "https://[2606:4700:4700::1111]/",
    "https://0x0.st/a": "https://0x0.st/a",
    "https://1e100.net/": "https://1e100.net/",
    "https://my_site.github.io/": "https://my_site.github.io/",
    "https://localhost.example.com/": "https://localhost.example.com/",
    "https://t.me/AI_LLMs]": "https://t.me/AI_LLMs]",
    "https://web.archive.org/web/2020/http://127.0.0.1/": "https://web.archive.org/web/2020/http://127.0.0.1/",
}


@pytest.mark.parametrize("address", REFUSED_RANGES)
def test_refused_ranges(address: str) -> None:
    assert why_refused(address)
    with pytest.raises(BlockedError, match=r"^refused address: "):
        vet(f"http://[{address}]/" if ":" in address else f"http://{address}/")


@pytest.mark.parametrize("address", ALLOWED_RANGES)
def test_public_ranges(address: str) -> None:
    assert why_refused(address) is None


@pytest.mark.parametrize("url", REFUSED_ADDRESSES.values(), ids=REFUSED_ADDRESSES.keys())
def test_refused_addresses(url: str) -> None:
    with pytest.raises(BlockedError, match=r"^refused address: ") as caught:
        vet(url)
    assert "\n" not in caught.value.reason


@pytest.mark.parametrize(("url", "normal"), ALLOWED_ADDRESSES.items(), ids=ALLOWED_ADDRESSES.keys())
def test_allowed_addresses(url: str, normal: str) -> None:
    assert str(vet(url)) == normal


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://10.0.0.1/", "refused address: 10.0.0.1 is inside a private network"),
        ("http://127.0.0.1/", "refused address: 127.0.0.1 is this machine itself"),
        ("http://169.254.169.254/", "refused address: 169.254.169.254 is a link-local address"),
        ("http://224.0.0.1/", "refused address: 224.0.0.1 is a multicast address"),
        ("http://192.0.2.1/", "refused address: 192.0.2.1 is in a reserved range"),
        ("http://[::ffff:8.8.8.8]/", "refused address: ::ffff:8.8.8.8 is an IPv4 address in IPv6 form"),
        ("http://127.1/", "refused address: 127.1 is an IP address in an unusual spelling"),
        ("http://wiki.corp/", "refused address: wiki.corp is a name inside a network"),
        ("https://me@example.com/", "refused address: it holds a user name or password"),
        ("ftp://example.com/", "refused address: 'ftp' is not http or https"),
    ],
)
def test_reasons(url: str, reason: str) -> None:
    with pytest.raises(BlockedError) as caught:
        vet(url)
    assert caught.value.reason == reason


def test_an_allowed_host_is_allowed_and_no_other() -> None:
    allowed = {"intranet", "10.0.0.1", "::1"}
    assert str(vet("http://intranet:8080/a", allowed)) == "http://intranet:8080/a"
    assert str(vet("http://10.0.0.1/", allowed)) == "http://10.0.0.1/"
    assert str(vet("http://[::1]/", allowed)) == "http://[::1]/"
    for url in ("http://10.0.0.2/", "http://a.intranet/", "http://me@intranet/", "ftp://intranet/"):
        with pytest.raises(BlockedError):
            vet(url, allowed)


@st.composite
def spellings(draw: st.DrawFn) -> tuple[ipaddress.IPv4Address, str]:
    """An IPv4 address, written in one of the ways that ``inet_aton`` understands: 1 to 4 parts, each decimal, octal or hexadecimal."""
    address = draw(st.ip_addresses(v=4))
    parts = draw(st.integers(1, 4))
    numbers = [*address.packed[: parts - 1], int.from_bytes(address.packed[parts - 1 :])]
    write = st.sampled_from([str, hex, lambda number: f"0{number:o}", lambda number: f"0X{number:X}", lambda number: f"0x{number:08x}"])
    return address, ".".join(draw(write)(number) for number in numbers)


@given(spellings())
def test_no_spelling_of_a_number_gets_through(written: tuple[ipaddress.IPv4Address, str]) -> None:
    address, spelling = written
    assert socket.inet_aton(spelling) == address.packed
    if spelling == str(address) and why_refused(spelling) is None:
        assert vet(f"http://{spelling}/").host == spelling
    else:
        with pytest.raises(BlockedError):
            vet(f"http://{spelling}/")


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_gets_through_inside_ipv6(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for prefix in ("::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "2001::", "2001:db8:1:2:0:5efe::"):
        assert why_refused(str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + number)))
    assert why_refused(str(ipaddress.IPv6Address((0x2002 << 112) + (number << 80))))


@given(st.text(max_size=40))
def test_the_normal_form_is_stable_and_no_other_error_is_raised(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.com{text}", f"https://{text}.example.com/"):
        normal = None
        with contextlib.suppress(BlockedError):
            normal = vet(url)
        if normal is not None:
            assert vet(str(normal)) == normal
