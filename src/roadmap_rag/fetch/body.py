"""The bytes of an answer, within limits: of the size as it comes, of the size unpacked, and of the kind.

httpx unpacks without a limit, and a body of some kilobytes can unpack to gigabytes; so bodies are unpacked here, piece by piece.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable, Iterator

import httpcore
import httpx

from roadmap_rag.errors import FetchError
from roadmap_rag.fetch.connections import CONNECTION_ERRORS

DRAINED_BYTES = 16 * 1024
"""The body of a redirect or an error up to this size is read, because a new connection costs more."""

_NOT_TEXT = ("image/", "audio/", "video/", "font/", "model/")


def read(response: httpcore.Response, headers: httpx.Headers, max_bytes: int, *, cut: bool) -> bytes:
    """The unpacked body, at most ``max_bytes``: cut there, or else refused."""
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    length = headers.get("content-length", "")
    too_large = FetchError(f"larger than {max_bytes / 1e6:g} MB", http_status=response.status)
    if not cut and kind.startswith(_NOT_TEXT):
        raise FetchError(f"{kind} holds no text to read", http_status=response.status)
    if not cut and length.isdecimal() and int(length) > max_bytes:
        raise too_large
    body = bytearray()
    try:
        for piece in _unpack(response.iter_stream(), headers.get("content-encoding", "").strip().lower(), max_bytes):
            body += piece
            if len(body) > max_bytes:
                break
    except zlib.error as error:
        raise FetchError("the page came packed and cannot be unpacked", http_status=response.status) from error
    if len(body) > max_bytes and not cut:
        raise too_large
    return bytes(body[:max_bytes])


def drain(response: httpcore.Response, headers: httpx.Headers) -> None:
    """Read a short body that nobody wants, so that the connection can be used again."""
    length = headers.get("content-length", "")
    if response.status == 304 or (length.isdecimal() and int(length) <= DRAINED_BYTES):
        with contextlib.suppress(*CONNECTION_ERRORS):
            for _ in response.iter_stream():
                pass


def _unpack(chunks: Iterable[bytes], encoding: str, max_bytes: int) -> Iterator[bytes]:
    """The body unpacked, in pieces of at most 64 KiB, so that a small packed body cannot fill the memory at once.

    Stops after ``max_bytes`` of packed bytes: a body may also be made of very many empty parts. Raises zlib.error.
    """
    if encoding in ("", "identity"):
        yield from chunks
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise FetchError(f"the page came packed as {encoding!r}, which was not asked for")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, by its first bytes
    received = 0
    for chunk in chunks:
        received += len(chunk)
        if received > max_bytes:
            raise zlib.error("longer packed than it may be unpacked")
        rest = chunk
        while rest:
            if unpacker.eof:  # gzip files may be strung together; anything else behind the end is padding
                if not rest.startswith(b"\x1f\x8b"):
                    return
                unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
            yield unpacker.decompress(rest, 1 << 16)
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    if received and not unpacker.eof:
        raise zlib.error("it ends too early")
