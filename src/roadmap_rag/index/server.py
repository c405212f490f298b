"""A Chroma server that several machines share: the vectors stay there, and everything else of a generation comes from there.

    collection roadmap-rag             its metadata names the current generation: the server's CURRENT, changed in one request
    collection roadmap-rag-NAME        the vectors of generation NAME
    collection roadmap-rag-NAME-files  its passages.sqlite and manifest.json, compressed, in pieces

A reader on any machine asks for the name before each question, as it does with the file CURRENT; a new generation's files are fetched once
into its own folder, and texts and words are then searched there. The generation before the current one is kept, because a reader
elsewhere may be in the middle of a question. One machine should ingest: the lock of the folder is not seen by others.
"""

from __future__ import annotations

import base64
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from roadmap_rag.errors import StorageError
from roadmap_rag.files import writing

PREFIX = "roadmap-rag"
FILES = ("passages.sqlite", "manifest.json")
CONNECT_SECONDS = 5.0
_PIECE = 512 * 1024
"""Bytes of a file in one record: well below what a request may hold."""
_PAGE = 1_000
COSINE = {"hnsw": {"space": "cosine", "ef_construction": 200, "ef_search": 400}}


class ChromaServer:
    """The generations on the server at ``url``. Raises StorageError when it does not answer."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._made: Any = None

    def close(self) -> None:
        if self._made is not None:
            for client in (self._made, self._made._admin_client):
                client._server._session.close()  # Chroma's own close leaves its connections open
            self._made.close()
            self._made = None

    def current(self) -> str | None:
        """The name of the generation that answers, or None before the first ingest."""
        with self._told() as client:
            names = {collection.name: collection for collection in client.list_collections()}
            metadata = names[PREFIX].metadata if PREFIX in names else None
            return str(metadata["current"]) if metadata and metadata.get("current") else None

    def vectors(self, name: str) -> Any:
        """The collection of a generation's vectors."""
        with self._told() as client:
            return client.get_collection(_named(name), embedding_function=None)

    def begin(self, name: str, copy_of: str | None) -> Any:
        """A new collection, with the vectors of another generation if one is named."""
        with self._told() as client:
            made = client.create_collection(_named(name), embedding_function=None, configuration=COSINE)
            if copy_of is not None:
                old = client.get_collection(_named(copy_of), embedding_function=None)
                for first in range(0, old.count(), _PAGE):
                    page = old.get(limit=_PAGE, offset=first, include=["embeddings", "metadatas"])
                    made.add(ids=page["ids"], embeddings=page["embeddings"], metadatas=page["metadatas"])
            return made

    def publish(self, name: str, folder: Path) -> None:
        """Send a generation's files, then make it the current one; remove those that nobody can be reading any more."""
        with self._told() as client:
            before = self.current()
            files = client.create_collection(f"{_named(name)}-files", embedding_function=None)
            for file in FILES:
                data = zlib.compress((folder / file).read_bytes(), 6)
                for first in range(0, len(data), _PIECE):
                    piece = base64.b85encode(data[first : first + _PIECE]).decode("ascii")
                    files.add(ids=[f"{file}:{first:012d}"], embeddings=[[1.0]], documents=[piece])
            client.get_or_create_collection(PREFIX, embedding_function=None).modify(metadata={"current": name})
            self._sweep(client, {name, before})

    def fetch(self, name: str, folder: Path) -> None:
        """Bring a generation's files into ``folder``, which appears when it is complete."""
        partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
        with self._told() as client, writing(folder.parent):
            files = client.get_collection(f"{_named(name)}-files", embedding_function=None)
            pieces = sorted(files.get(include=[])["ids"])
            partial.mkdir(parents=True, exist_ok=True)
            for file in FILES:
                data = b""
                for piece in (piece for piece in pieces if piece.startswith(f"{file}:")):
                    data += base64.b85decode(files.get(ids=[piece], include=["documents"])["documents"][0])
                (partial / file).write_bytes(zlib.decompress(data))
        try:
            partial.rename(folder)
        except OSError:  # another process was quicker
            shutil.rmtree(partial, ignore_errors=True)

    def drop(self, name: str) -> None:
        """Remove a generation that was never published."""
        with self._told() as client:
            self._remove(client, {_named(name), f"{_named(name)}-files"})

    def clear(self) -> None:
        """Remove every generation."""
        with self._told() as client:
            self._remove(client, {each.name for each in client.list_collections() if each.name.startswith(PREFIX)})

    def _sweep(self, client: Any, keep: set[str | None]) -> None:
        kept = {PREFIX} | {f"{_named(name)}{end}" for name in keep if name for end in ("", "-files")}
        self._remove(client, {each.name for each in client.list_collections() if each.name.startswith(PREFIX)} - kept)

    def _remove(self, client: Any, names: set[str]) -> None:
        for name in names & {each.name for each in client.list_collections()}:
            client.delete_collection(name)

    @contextmanager
    def _told(self) -> Iterator[Any]:
        """The client; what goes wrong is told with the server's address and what to run."""
        import httpx
        from chromadb.errors import ChromaError

        try:
            yield self._client()
        except (httpx.HTTPError, ChromaError) as error:
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            address = urlsplit(self.url)
            start = f"chroma run --path DIR --host {address.hostname} --port {address.port or 8000}"
            raise StorageError(f"the Chroma server at {self.url} does not do its work ({said}); run there: {start}") from error

    def _client(self) -> Any:
        if self._made is None:
            import chromadb
            import httpx
            from chromadb.config import Settings

            address = urlsplit(self.url)
            _keep_from_proxies(address.hostname or "")
            httpx.get(f"{self.url}/api/v2/heartbeat", timeout=CONNECT_SECONDS).raise_for_status()  # Chroma's client waits for ever
            self._made = chromadb.HttpClient(
                host=address.hostname or "127.0.0.1",
                port=address.port or (443 if address.scheme == "https" else 8000),
                ssl=address.scheme == "https",
                settings=Settings(anonymized_telemetry=False),
            )
        return self._made


def _named(name: str) -> str:
    return f"{PREFIX}-{name}"


def _keep_from_proxies(host: str) -> None:
    """No proxy can reach this machine: Chroma's client asks the environment, and knows no other way."""
    if host in ("127.0.0.1", "localhost", "::1"):
        for name in ("NO_PROXY", "no_proxy"):
            os.environ[name] = ",".join(filter(None, [os.environ.get(name), host]))
