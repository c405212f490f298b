"""Settings, read once, and the functions that build the objects from them. The only place that knows all parts."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import platformdirs
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from roadmap_rag import __version__
from roadmap_rag.corpus import Corpus
from roadmap_rag.domain import Turn
from roadmap_rag.encoders import DEFAULT_EMBEDDER, CrossEncoderReranker, EntailmentModel, LocalEncoder, ServedEncoder, find_model
from roadmap_rag.errors import GeneratorError, RoadmapRagError, SettingsError
from roadmap_rag.index import Index, IndexSettings
from roadmap_rag.roadmap import Roadmap, load_roadmap
from roadmap_rag.store import Store

if TYPE_CHECKING:
    from roadmap_rag.fetch import WebFetcher
    from roadmap_rag.generate import Diagnosis, Machine, ModelInfo
    from roadmap_rag.ingest import Ingestor, Progress
    from roadmap_rag.query_engine import RoadmapQueryEngine, Writer
    from roadmap_rag.retrieve import Retriever

Reads = TypeVar("Reads", CrossEncoderReranker, EntailmentModel)
OLLAMA_PREFIX = "ollama:"
"""Before the name of an embedder that Ollama serves."""
SETTINGS_FILE = "roadmap-rag.toml"
CONTACT = "https://github.com/roadmap-rag/roadmap-rag"


class Config(BaseSettings):
    """Everything that can be set: in ``roadmap-rag.toml``, by ``ROADMAP_RAG_NAME`` variables, or by flags, later ones first."""

    model_config = SettingsConfigDict(env_prefix="ROADMAP_RAG_", extra="forbid", frozen=True)

    model: str = Field("", description="Ollama model that writes answers; empty: the best one installed")
    ollama_host: str = Field("", description="where Ollama listens; empty: OLLAMA_HOST, else 127.0.0.1:11434")
    openai_base_url: str = Field("", description="base address of an OpenAI-compatible server on your own machines, used instead of Ollama")
    openai_api_key: str = Field("none", description="the key that such a server wants, if it wants one")
    context: int = Field(4096, ge=1024, le=131_072, description="tokens of the model's window (num_ctx): prompt and answer together")
    prompt_tokens: int = Field(2000, ge=256, le=131_072, description="tokens of the prompt at most; fewer answer sooner on a CPU")
    answer_tokens: int = Field(512, ge=32, le=8192, description="tokens an answer may have at most")
    temperature: float = Field(0.0, ge=0, le=2, description="0 writes the same answer each time")
    seed: int = Field(1, description="seed of the model, for temperatures above 0")
    keep_alive: str = Field("30m", description="how long Ollama keeps the model loaded after an answer")
    first_token_timeout: float = Field(300.0, gt=0, description="seconds to wait for the first word; a CPU reads long prompts slowly")
    token_timeout: float = Field(60.0, gt=0, description="seconds to wait for each further word")
    passages: int = Field(8, ge=1, le=40, description="passages that a search returns and an answer may draw on")
    strict: bool = Field(False, description="leave out sentences that no passage supports, instead of marking them")
    embedder: str = Field(DEFAULT_EMBEDDER, description="the included model, another of sentence-transformers, a folder, or ollama:NAME")
    reranker: str = Field("", description="cross-encoder that orders the best 20 passages anew: a name or a folder; empty: none")
    claim_reader: str = Field(
        "", description="model of language inference that reads each sentence beside its source: a name or a folder; empty: none"
    )
    device: str = Field("auto", description="where embedder, reranker and claim reader run: auto, cpu, cuda, mps")
    chroma: str = Field("", description="address of a Chroma server that keeps the index for several machines; empty: the home's folder")
    chunk_tokens: int = Field(0, ge=0, le=2048, description="tokens of a passage with its title line; 0: all that the embedder reads")
    chunk_overlap: int = Field(0, ge=0, le=512, description="tokens that a passage repeats of the one before")
    fetch_delay: float = Field(1.0, ge=0, description="seconds between two requests to one site, if it asks for no more")
    fetch_timeout: float = Field(30.0, gt=0, description="seconds without a byte after which a site counts as silent")
    max_page_megabytes: int = Field(30, ge=1, description="larger pages are refused")
    allowed_hosts: tuple[str, ...] = Field((), description="hosts inside your network that ingest may read all the same")
    contact: str = Field(CONTACT, description="address in the user agent, so that a site can reach you")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- no .env file is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- nor secrets: there are none
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, find_home() / SETTINGS_FILE)


@functools.cache
def project_folder() -> Path | None:
    """The checkout that this package runs from, or None when it is installed elsewhere."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").exists() and (folder / "src" / "roadmap_rag").is_dir() else None


def find_home() -> Path:
    """Where everything that is not in git lives: ROADMAP_RAG_HOME, else the checkout, else the user's data folder."""
    if named := os.environ.get("ROADMAP_RAG_HOME"):
        return Path(named).expanduser().absolute()
    return project_folder() or Path(platformdirs.user_data_dir("roadmap-rag", appauthor=False))


def read_config(**flags: Any) -> Config:
    """Settings from the file, the environment and the flags that are not None. Raises SettingsError naming what is wrong and where."""
    path = find_home() / SETTINGS_FILE
    try:
        return Config(**{name: value for name, value in flags.items() if value is not None})
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {error}; correct that line or remove the file") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; change its permissions") from error
    except ValidationError as error:
        raise SettingsError(_explain(error, path)) from error


def _explain(error: ValidationError, path: Path) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    said = "there is no such setting" if first["type"] == "extra_forbidden" else first["msg"]
    variable = f"ROADMAP_RAG_{name.upper()}"
    if variable in os.environ:
        return f"{variable}: {said}; see the settings table in the README"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        if re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", line):
            return f"{path}, line {number}: {name}: {said}; see the settings table in the README"
    return f"{name}: {said}; see the settings table in the README"


def settings_table() -> str:
    """The settings as a Markdown table; the README holds exactly this."""
    rows = ["| setting | default | what it does |", "|---|---|---|"]
    for name, field in Config.model_fields.items():
        default = field.default
        shown = "" if default in ("", ()) else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        rows.append(f"| `{name}` | {shown} | {field.description} |")
    return "\n".join(rows)


def roadmap_file(home: Path) -> Path:
    """The user's own roadmap if there is one, else the project's."""
    own = home / "corpus" / "roadmap.yaml"
    if own.exists():
        return own
    project = project_folder()
    return project / "corpus" / "roadmap.yaml" if project else Path(__file__).with_name("roadmap.yaml")


def _version(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written: its time and size; None when there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


class App:
    """The objects of one home, each built on first use from one set of settings."""

    def __init__(self, config: Config, home: Path | None = None) -> None:
        self.config = config
        self.home = home or find_home()
        self.corpus = Corpus(self.home / "corpus")
        self.index = Index(self.home / "index", config.chroma)
        self.store = Store(self.home / "user.sqlite")
        self._retriever: Retriever | None = None
        self._writers: dict[str, Writer] = {}
        self._roadmap: tuple[object, Roadmap] | None = None
        self._encoder: LocalEncoder | ServedEncoder | None = None
        self._warming = threading.Lock()

    @property
    def links_file(self) -> Path:
        return self.home / "corpus" / "links.yaml"

    @property
    def roadmap(self) -> Roadmap:
        """As its files are now: a link that was added, here or by another process, is in it."""
        path = roadmap_file(self.home)
        version = path, _version(path), _version(self.links_file)
        if self._roadmap is None or self._roadmap[0] != version:
            self._roadmap = version, load_roadmap(path, self.links_file)
        return self._roadmap[1]

    @property
    def encoder(self) -> LocalEncoder | ServedEncoder:
        if self._encoder is None:
            name = self.config.embedder
            if name.startswith(OLLAMA_PREFIX):
                self._encoder = self._served_encoder(name.removeprefix(OLLAMA_PREFIX))
            else:
                self._encoder = LocalEncoder(name, cache=self.index.cache, device=self.config.device)
        return self._encoder

    def _served_encoder(self, name: str) -> ServedEncoder:
        from roadmap_rag.generate import OllamaServer, normal_keep_alive

        server = OllamaServer(self.ollama_host)
        model = server.find(name)
        keep_alive = normal_keep_alive(self.config.keep_alive)
        return ServedEncoder(
            f"{OLLAMA_PREFIX}{name}",
            lambda texts: server.embed(model.name, texts, keep_alive),
            digest=model.digest,
            context=model.context,
        )

    @property
    def index_settings(self) -> IndexSettings:
        limit = self.config.chunk_tokens or self.encoder.limit
        return IndexSettings(self.encoder.identity, min(limit, self.encoder.limit), self.config.chunk_overlap)

    def fetcher(self) -> WebFetcher:
        from roadmap_rag.fetch import WebFetcher

        return WebFetcher(
            user_agent=f"roadmap-rag/{__version__} (+{self.config.contact})",
            delay=self.config.fetch_delay,
            timeout=self.config.fetch_timeout,
            max_bytes=self.config.max_page_megabytes * 1_000_000,
            robots_folder=self.home / "corpus" / "robots",
            allowed_hosts=self.config.allowed_hosts,
        )

    def ingestor(
        self,
        fetcher: WebFetcher | None,
        progress: Callable[[Progress], None] = lambda _: None,
        stopped: Callable[[], bool] = lambda: False,
        publish_every: float | None = None,
    ) -> Ingestor:
        from roadmap_rag.ingest import Ingestor

        return Ingestor(
            roadmap=self.roadmap,
            corpus=self.corpus,
            index=self.index,
            encoder=self.encoder,
            identity=self.encoder.identity,
            token_spans=self.encoder.token_spans,
            settings=self.index_settings,
            fetcher=fetcher,
            export=self.encoder.export,
            progress=progress,
            stopped=stopped,
            publish_every=publish_every,
        )

    @property
    def retriever(self) -> Retriever:
        if self._retriever is None:
            from roadmap_rag.retrieve import Retriever

            self._retriever = Retriever(
                self.index,
                self.index_settings,
                self.encoder,
                roadmap=lambda: self.roadmap,
                english_only=self.encoder.profile.english_only,
                reranker=self.reranker,
            )
        return self._retriever

    @property
    def reranker(self) -> CrossEncoderReranker | None:
        return self._cross_encoder(CrossEncoderReranker, self.config.reranker)

    @functools.cached_property
    def claim_reader(self) -> EntailmentModel | None:
        return self._cross_encoder(EntailmentModel, self.config.claim_reader)

    def _cross_encoder(self, kind: type[Reads], name: str) -> Reads | None:
        return kind(name, find_model(name, kind.kind, "cross-encoder"), device=self.config.device) if name else None

    def engine(
        self, *, model: str | None = None, quotes_only: bool = False, strict: bool | None = None, passages: int | None = None
    ) -> RoadmapQueryEngine:
        """The query engine. ``model`` overrides the configured one; ``quotes_only`` asks no model."""
        from roadmap_rag.query_engine import RoadmapQueryEngine, Writer

        return RoadmapQueryEngine(
            retriever=self.retriever,
            encoder=self.encoder,
            roadmap=self.roadmap,
            writer=Writer if quotes_only else lambda: self.writer(model),
            missing=self.missing_links,
            entails=None if quotes_only else self.claim_reader,
            passages=passages or self.config.passages,
            strict=self.config.strict if strict is None else strict,
        )

    @property
    def ollama_host(self) -> str:
        from roadmap_rag.generate import parse_host

        return parse_host(self.config.ollama_host or os.environ.get("OLLAMA_HOST"))

    def diagnose(self, model: str | None = None) -> Diagnosis:
        from roadmap_rag.generate import diagnose

        return diagnose(self.ollama_host, model or self.config.model, machine=this_machine())

    def choose_model(self, diagnosis: Diagnosis, model: str | None = None) -> tuple[ModelInfo | None, str]:
        from roadmap_rag.generate import choose

        return choose(diagnosis.models, model or self.config.model, this_machine())

    def writer(self, model: str | None = None) -> Writer:
        """Who writes answers now: the OpenAI-compatible server of the settings, else a model of Ollama, else nobody, with the reason.

        Raises GeneratorError when a model that the user named is not installed on a server that runs.
        """
        return self._compatible_writer(model) if self.config.openai_base_url else self._ollama_writer(model)

    def _compatible_writer(self, model: str | None) -> Writer:
        from roadmap_rag.generate import OpenAIGenerator, served_models
        from roadmap_rag.prompt import STOP
        from roadmap_rag.query_engine import Writer

        config = self.config
        try:
            served = served_models(config.openai_base_url, config.openai_api_key)
        except GeneratorError as error:
            return Writer(notice=f"no model is running ({error}); these are the passages that answer it")
        name = model or config.model or (served[0].name if served else "default")
        if name not in self._writers:
            generator = OpenAIGenerator(
                name,
                base_url=config.openai_base_url,
                api_key=config.openai_api_key,
                temperature=config.temperature,
                seed=config.seed,
                max_tokens=config.answer_tokens,
                first_token_timeout=config.first_token_timeout,
                timeout=config.token_timeout,
                stop=STOP,
            )
            window = next((each.context for each in served if each.name == name and each.context), config.context)
            self._writers[name] = Writer(generator, name, min(window, config.context), config.prompt_tokens, config.answer_tokens)
        return self._writers[name]

    def _ollama_writer(self, model: str | None) -> Writer:
        from roadmap_rag.generate import STOPPABLE_BATCH, OllamaGenerator, is_local
        from roadmap_rag.prompt import STOP
        from roadmap_rag.query_engine import Writer

        config = self.config
        diagnosis = self.diagnose(model)
        if diagnosis.problem == "not_pulled":
            raise GeneratorError(f"{diagnosis.detail}; run: {diagnosis.remedy}")
        chosen, why = self.choose_model(diagnosis, model)
        if diagnosis.problem is not None or chosen is None:
            detail, remedy = (diagnosis.detail, diagnosis.remedy) if diagnosis.problem else (why, "roadmap-rag models recommend")
            return Writer(notice=f"no model is running ({detail}); these are the passages that answer it; for written answers: {remedy}")
        if chosen.name not in self._writers:
            context = self.window(chosen)
            generator = OllamaGenerator(
                chosen.name,
                host=self.ollama_host,
                num_ctx=context,
                temperature=config.temperature,
                seed=config.seed,
                keep_alive=config.keep_alive,
                max_tokens=config.answer_tokens,
                first_token_timeout=config.first_token_timeout,
                timeout=config.token_timeout,
                stop=STOP,
                num_batch=None if is_local(self.ollama_host) and this_machine().holds_on_card(chosen) else STOPPABLE_BATCH,
            )
            self._writers[chosen.name] = Writer(generator, chosen.name, context, config.prompt_tokens, config.answer_tokens)
        return self._writers[chosen.name]

    def window(self, model: ModelInfo) -> int:
        """Tokens of the window that the model is asked to have: the configured ones, unless it was made for fewer."""
        return min(self.config.context, model.context or self.config.context)

    def warm(self, model: str | None = None) -> None:
        """Load the model that would write now and let it read the instructions, so that the first question waits for neither.

        Raises GeneratorError; does nothing without a model, or while one is at work.
        """
        from roadmap_rag.generate import OllamaGenerator, OpenAIGenerator
        from roadmap_rag.prompt import INSTRUCTIONS

        generator = self.writer(model).generator
        if isinstance(generator, OllamaGenerator | OpenAIGenerator) and not generator.line.open:
            generator.warm([Turn("system", INSTRUCTIONS)])

    def warm_meanwhile(self, model: str | None = None) -> None:
        """As ``warm``, in the background. What fails here fails again, and is told, when a question is asked."""

        def work() -> None:
            with contextlib.suppress(RoadmapRagError), self._warming:
                self.warm(model)

        if not self._warming.locked():
            threading.Thread(target=work, name="warm", daemon=True).start()

    def missing_links(self, topic: str) -> list[str]:
        """The links of a topic that have no stored text."""
        states = self.corpus.states()
        return [
            source.url
            for source in self.roadmap.sources()
            if topic in source.topics and (source.url not in states or states[source.url].document_id is None)
        ]


def this_machine() -> Machine:
    """What models can use here."""
    import psutil

    from roadmap_rag.generate import Machine, graphics_memory

    total = int(psutil.virtual_memory().total)
    return Machine(total, graphics_memory(total), psutil.cpu_count(logical=False) or 2)
