"""Is everything ready? Checks that a user can read, each with the command that mends it. Changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roadmap_rag.encoders import ServedEncoder
from roadmap_rag.errors import EncoderError, RoadmapRagError
from roadmap_rag.retrieve import RERANKED
from roadmap_rag.wiring import App, read_config

if TYPE_CHECKING:
    from roadmap_rag.generate import ModelInfo

_ROOM = 2_000_000_000
"""Bytes that a full corpus with its index and embedding cache may take, with a margin."""


_TYPICAL = "A passage of usual length has about nine hundred characters. " * 15
"""What a reranker is timed with."""
_ANSWER = 10
"""Sentences that a claim reader is timed with, each beside three of its passage."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. ``needed``: without it ``ask`` cannot answer at all."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed: bool = True


def examine() -> list[Check]:
    """All checks in the order in which one would mend them; those that depend on a failed one are left out."""
    checks = [Check("python", sys.version_info >= (3, 11), f"Python {platform.python_version()} on {platform.system()}")]
    try:
        app = App(read_config())
    except RoadmapRagError as error:
        return [*checks, Check("settings", False, str(error), "correct the settings file or variable")]
    checks.append(Check("settings", True, "valid"))
    for check in (_home, _roadmap, _embedder, _reranker, _claim_reader, _index, _corpus, _model):
        checks.extend(_guarded(check, app))
    return checks


def ready(checks: list[Check]) -> bool:
    """Whether ``ask`` can answer now, be it with quotes."""
    return all(check.ok for check in checks if check.needed)


def _guarded(check: Callable[[App], Iterator[Check]], app: App) -> Iterator[Check]:
    try:
        yield from check(app)
    except RoadmapRagError as error:
        message, _, remedy = str(error).partition("; run: ")
        yield Check(
            check.__name__.strip("_"),
            False,
            message,
            remedy.removeprefix("rebuild it with: ") or "roadmap-rag ingest",
            needed=check is not _model,
        )


def _home(app: App) -> Iterator[Check]:
    place = app.home
    while not place.exists():
        place = place.parent
    writable = os.access(place, os.W_OK)
    yield Check("home", writable, str(app.home), "" if writable else f"make {place} writable or set ROADMAP_RAG_HOME", needed=False)
    free = shutil.disk_usage(place).free
    yield Check("disk", free > _ROOM, f"{free / 1e9:.1f} GB free", "" if free > _ROOM else "free some space", needed=False)


def _roadmap(app: App) -> Iterator[Check]:
    roadmap = app.roadmap
    yield Check("roadmap", True, f"{len(roadmap.topics)} topics, {len(roadmap.paths)} paths, {len(roadmap.sources())} links")


def _embedder(app: App) -> Iterator[Check]:
    encoder = app.encoder
    if isinstance(encoder, ServedEncoder):
        dimensions = encoder.encode(["ready?"]).shape[1]
        how = f"{dimensions} dimensions, served by {app.ollama_host}"
    elif encoder.onnx_path.exists():
        how = "questions start without torch"
    else:
        how = "the first ingest makes questions start faster"
    yield Check("embedder", True, f"{encoder.name} ({encoder.identity.rpartition('@')[2]}), reads {encoder.limit} tokens, {how}")


def _reranker(app: App) -> Iterator[Check]:
    """This and the next are the only checks that load a model, because the user who sets one wants to know what it costs."""
    if app.config.reranker:
        does = f"orders {RERANKED} passages of {len(_TYPICAL)} characters"
        yield _timed("reranker", does, RERANKED, lambda: app.reranker, lambda model, count: model.scores("ready?", [_TYPICAL] * count))


def _claim_reader(app: App) -> Iterator[Check]:
    if app.config.claim_reader:
        pair = (_TYPICAL[:360], _TYPICAL[:120])
        does = f"reads an answer of {_ANSWER} sentences"
        yield _timed("claim_reader", does, _ANSWER, lambda: app.claim_reader, lambda model, count: model([pair] * count))


def _timed(setting: str, does: str, count: int, load: Callable[[], Any], read: Callable[[Any, int], object]) -> Check:
    """How long a loaded model takes for ``count`` texts, after one to get it ready."""
    name = setting.replace("_", " ")
    try:
        model = load()
        read(model, 1)
        started = time.perf_counter()
        read(model, count)
        seconds = time.perf_counter() - started
    except EncoderError as error:
        return Check(name, False, f"not measured: {error}", f"set {setting} to nothing, or to a folder that holds the model")
    return Check(name, True, f"{model.name} {does} in {seconds:.1f} s", needed=False)


def _index(app: App) -> Iterator[Check]:
    with app.index.open(app.index_settings) as generation:
        made = generation.manifest
        yield Check("index", made.chunks > 0, f"{made.documents} documents, {made.chunks} passages, made {made.made_at}", "")


def _corpus(app: App) -> Iterator[Check]:
    states = app.corpus.states()
    links = app.roadmap.sources()
    stored = sum(source.url in states and states[source.url].document_id is not None for source in links)
    remedy = "" if stored else "roadmap-rag ingest"
    yield Check("sources", stored > 0, f"{stored} of {len(links)} links have a stored text", remedy, needed=False)


def _model(app: App) -> Iterator[Check]:
    if app.config.openai_base_url:
        yield _compatible(app)
        return
    diagnosis = app.diagnose()
    if diagnosis.problem is not None:
        yield Check("model", False, f"{diagnosis.detail}; answers are quotes until then", diagnosis.remedy, needed=False)
        return
    chosen, why = app.choose_model(diagnosis)
    detail = f"Ollama {diagnosis.version}: {why}"
    yield Check("model", chosen is not None, detail, "" if chosen else "roadmap-rag models recommend", needed=False)
    if chosen is not None:
        yield _window(app, chosen)


def _window(app: App, model: ModelInfo) -> Check:
    """What the server has really given the model, if it is loaded."""
    from roadmap_rag.generate import OllamaServer, same_name

    asked = app.window(model)
    loaded = next((each for each in OllamaServer(app.ollama_host).granted() if same_name(each.name, model.name)), None)
    if loaded is None or loaded.context is None:
        return Check(
            "window", True, f"{asked} tokens are asked for; {model.name} is not loaded now, so what it gets is not known", needed=False
        )
    graphics = f", {loaded.gpu_size / loaded.size:.0%} of it in graphics memory" if loaded.size else ""
    detail = f"{model.name} is loaded with a window of {loaded.context} tokens, {asked} are asked for{graphics}"
    return Check("window", loaded.context >= asked, detail, "" if loaded.context >= asked else f"ollama stop {model.name}", needed=False)


def _compatible(app: App) -> Check:
    from roadmap_rag.generate import served_models

    url = app.config.openai_base_url
    served = served_models(url, app.config.openai_api_key)
    names = ", ".join(model.name + (f" (window {model.context} tokens)" if model.context else "") for model in served)
    wanted = app.config.model
    if wanted and served and wanted not in {model.name for model in served}:
        return Check("model", False, f"{url} serves {names}, not {wanted}", f"set model to one of: {names}", needed=False)
    return Check("model", bool(served), f"{url} serves {names or 'no model'}", "" if served else f"start a model at {url}", needed=False)
