"""An index on a Chroma server: a real ``chroma run``, a writer in one folder and a reader in another, as on two machines."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from roadmap_rag.errors import IndexMissingError, StorageError
from roadmap_rag.index import Index
from test_index import SETTINGS, Writer, document, found

pytestmark = pytest.mark.timeout(300)


@dataclass
class Served:
    """A Chroma server of the tests' own that can be ended and started again."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        program = Path(sys.executable).with_name("chroma")
        command = [str(program), "run", "--path", str(self.folder), "--host", "127.0.0.1", "--port", str(self.port)]
        environment = os.environ | {"ANONYMIZED_TELEMETRY": "False"}
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        for _ in range(1200):
            try:
                httpx.get(f"{self.url}/api/v2/heartbeat", timeout=5, trust_env=False).raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                return
        pytest.fail("chroma run did not start")

    def collections(self) -> set[str]:
        url = f"{self.url}/api/v2/tenants/default_tenant/databases/default_database/collections"
        return {each["name"] for each in httpx.get(url, trust_env=False).json()}

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = Served(tmp_path_factory.mktemp("chroma"), port)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def writer(tmp_path: Path, served: Served) -> Iterator[Writer]:
    writer = Writer(tmp_path)
    writer.index = Index(tmp_path / "index", served.url)
    yield writer
    writer.index.clear()
    writer.index.close()


@pytest.fixture
def elsewhere(tmp_path: Path, served: Served) -> Iterator[Index]:
    index = Index(tmp_path / "elsewhere", served.url)
    yield index
    index.close()


def nearest(index: Index, text: str, writer: Writer) -> str:
    with index.open(SETTINGS) as generation:
        row = generation.dense(writer.encoder.encode([text])[0], 1)[0][0]
        return generation.passages([row])[row].document.url


def test_nothing_is_indexed_at_first(elsewhere: Index) -> None:
    with pytest.raises(IndexMissingError):
        elsewhere.open()


def test_a_reader_elsewhere_follows_the_writer(writer: Writer, elsewhere: Index) -> None:
    first = writer.write(document("lora"), document("adapters"))
    assert elsewhere.current() == first.generation
    assert nearest(elsewhere, "All about adapters.", writer) == "https://example.org/adapters"
    with elsewhere.open(SETTINGS) as old:
        second = writer.write(document("lora"), document("adapters", "Bread is baked."))
        assert elsewhere.current() == second.generation
        vector = writer.encoder.encode(["All about adapters."])[0]
        assert old.dense(vector, 1), "a question that had begun lost its vectors"
        assert old.text("https://example.org/adapters") == "All about adapters. It is a word of its own."
    with elsewhere.open(SETTINGS) as new:
        assert new.text("https://example.org/adapters") == "Bread is baked."


def test_only_what_has_changed_is_embedded_and_nothing_is_sent_when_nothing_has(writer: Writer) -> None:
    writer.write(document("lora"), document("adapters"))
    assert writer.write(document("lora"), document("adapters")).generation is None
    before = len(writer.texts)
    written = writer.write(document("lora"), document("adapters", "Bread is baked."), document("tokens"))
    assert (written.embedded, written.changed, written.added) == (len(writer.texts) - before, 1, 1)
    assert written.embedded == 2
    assert found(writer, "bread") == ["adapters"]
    assert nearest(writer.index, "All about lora.", writer) == "https://example.org/lora"


def test_a_write_that_fails_leaves_the_old_index_and_nothing_else(writer: Writer, elsewhere: Index, served: Served) -> None:
    first = writer.write(document("lora"))

    def fail(_texts: object) -> tuple[np.ndarray, int]:
        raise KeyboardInterrupt

    writer.embed = fail  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        writer.write(document("lora"), document("adapters"))
    assert elsewhere.current() == first.generation
    assert served.collections() == {"roadmap-rag", f"roadmap-rag-{first.generation}", f"roadmap-rag-{first.generation}-files"}


def test_a_server_that_is_gone_is_told_with_the_command_and_found_again(writer: Writer, elsewhere: Index, served: Served) -> None:
    written = writer.write(document("lora"))
    served.stop()
    try:
        with pytest.raises(StorageError) as caught:
            elsewhere.current()
        assert str(caught.value).startswith(f"the Chroma server at {served.url} does not do its work (")
        assert str(caught.value).endswith(f"; run there: chroma run --path DIR --host 127.0.0.1 --port {served.port}")
    finally:
        served.start()
    assert elsewhere.current() == written.generation
    assert nearest(elsewhere, "All about lora.", writer) == "https://example.org/lora"


def test_the_folder_and_the_server_are_two_indexes(writer: Writer, tmp_path: Path, served: Served) -> None:
    here = Writer(tmp_path)
    local = here.write(document("tokens"))
    writer.write(document("lora"))
    assert Index(tmp_path / "index").current() == local.generation
    assert writer.index.current() != local.generation
    shutil.rmtree(tmp_path / "index" / "served")
    assert nearest(writer.index, "All about lora.", writer) == "https://example.org/lora"
