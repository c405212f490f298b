"""Which addresses may be asked for at all, judged before anything is sent.

A page that somebody else wrote names addresses: in links, and in redirects. One that leads into the user's own network, or to the
machine itself, must not be asked for. ``vet`` judges an address as it is written, ``why_refused`` an IP address that a name has
resolved to. Nothing here touches the network.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import urlsplit

import httpx
from AntiSSRF import IPAddressRanges

from roadmap_rag.errors import BlockedError

_REFUSED_NETWORKS = tuple(ipaddress.ip_network(network) for network in IPAddressRanges.recommended_latest)
# Everything else in IPv6 is reserved, or carries an IPv4 address: mapped, compatible, translated, NAT64.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
"""Third quarter of an IPv6 address whose last quarter is an IPv4 address (RFC 5214)."""

_PRIVATE = tuple(
    ipaddress.ip_network(network) for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Names that only mean something inside a network (RFC 6761, RFC 6762, RFC 8375, ICANN's .internal, and the usual home-made ones).
_INNER_ENDINGS = frozenset("localhost localdomain local internal intranet private corp home lan arpa test svc consul".split())
# Public names that lead into the asker's own network by design. Where a proxy resolves, nothing but the name shows it.
_INNER_DOMAINS = tuple(
    "nip.io sslip.io xip.io localtest.me lvh.me vcap.me lacolhost.com local.gd localho.st traefik.me rbndr.us 1u.ms fritz.box "
    "metadata.goog metadata.tencentyun.com metadata.packet.net metadata.platformequinix.com metadata.cloud.ibm.com".split()
)


def why_refused(address: str) -> str | None:
    """Why no connection is made to an IP address, to be read after the address; None for a public one."""
    ip = ipaddress.ip_address(address)
    if ip.is_loopback or ip.is_unspecified:
        return "is this machine itself"
    if ip.is_link_local:
        return "is a link-local address"
    if ip.is_multicast:
        return "is a multicast address"
    if any(ip in network for network in _PRIVATE):
        return "is inside a private network"
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped or ip.sixtofour or ip.teredo or (int(ip) >> 32) & 0xFFFFFFFF in _ISATAP:
            return "is an IPv4 address in IPv6 form"
        if ip not in _GLOBAL_UNICAST:
            return "is in a reserved range"
    if not ip.is_global or any(ip in network for network in _REFUSED_NETWORKS):
        return "is in a reserved range"
    return None


def vet(url: str, allowed_hosts: Collection[str] = ()) -> httpx.URL:
    """The address in normal form, without fragment. Raises BlockedError for one that must not be asked for.

    Judged by its spelling alone; ``allowed_hosts`` are names or IP addresses that the user allows although they are not public.
    """
    try:
        parts = urlsplit(url)
        address = httpx.URL(url)
        host, port = address.raw_host.decode("ascii"), parts.port
    except (ValueError, httpx.InvalidURL) as error:
        raise BlockedError(f"refused address: {url!r} cannot be read ({error})") from error
    if address.scheme not in ("http", "https") or parts.scheme != address.scheme:
        raise BlockedError(f"refused address: {address.scheme or 'no scheme'!r} is not http or https")
    if "@" in parts.netloc or address.userinfo:
        raise BlockedError("refused address: it holds a user name or password")
    if not host or port == 0 or re.search(r"[%\\\s]", parts.netloc):
        raise BlockedError(f"refused address: {parts.netloc!r} is not a host")
    name = host.removesuffix(".")
    if name not in allowed_hosts:
        _vet_host(name)
    return address.copy_with(host=name, fragment=None)


def _vet_host(host: str) -> None:
    try:
        reason = why_refused(host)
    except ValueError:  # a name, or an IP address in a spelling that only resolvers understand
        _vet_name(host)
    else:
        if reason:
            raise BlockedError(f"refused address: {host} {reason}")


def _vet_name(host: str) -> None:
    """Refuse what resolvers read as a number, and names that are known to lie inside a network."""
    labels = host.split(".")
    if not _HOST.fullmatch(host) or len(host) > 253 or max(map(len, labels)) > 63:
        raise BlockedError(f"refused address: {host!r} is not a host")
    if _NUMBER.fullmatch(labels[-1]):  # 127.1, 0x7f.1, 2130706433, 0x.0x.0: resolvers take these for IPv4 addresses
        raise BlockedError(f"refused address: {host} is an IP address in an unusual spelling")
    if len(labels) == 1 or labels[-1] in _INNER_ENDINGS or any(f".{host}".endswith(f".{domain}") for domain in _INNER_DOMAINS):
        raise BlockedError(f"refused address: {host} is a name inside a network")
