"""The command line: parses, calls, prints. The contract (JSON objects, exit codes) is the one that the README documents.

Heavy libraries are imported by the commands that need them, so that ``--help``, ``topics`` and ``doctor`` start at once.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from roadmap_rag import __version__
from roadmap_rag.batch import Line, answer_lines, check_question
from roadmap_rag.errors import GeneratorError, RoadmapRagError, StorageError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from roadmap_rag.domain import Answer
    from roadmap_rag.ingest import Plan, Progress, Report
    from roadmap_rag.query_engine import RoadmapQueryEngine
    from roadmap_rag.store import Store
    from roadmap_rag.wiring import App

LONG_RUN = 20.0
"""Seconds of pauses between requests from which an ingest says beforehand how long it takes."""
SOME_FAILED = 3
GATE_FELL_SHORT = 4
INTERRUPTED = 130
SUGGESTED = 20
"""Drafts of questions from passages, unless told otherwise."""
SUITES = ("retrieval", "answers", "robustness", "ragas", "all")
TYPES = ("concept", "how-to", "number", "comparison", "roadmap", "follow-up", "injection", "unanswerable", "false-premise", "out-of-domain")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see: {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        options = _parser().parse_args(arguments)
        code = int(options.run(options) or 0)
        sys.stdout.flush()
        return code
    except RoadmapRagError as error:
        print(f"roadmap-rag: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("roadmap-rag: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has gone: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="roadmap-rag",
        description="Ask a learning roadmap for large language models, and every article it links to. Answers carry checked citations.",
        epilog="Begin with: roadmap-rag ingest --limit 0 (the roadmap alone, seconds), then: roadmap-rag ask 'What should I learn first?'",
    )
    parser.add_argument("--version", action="version", version=f"roadmap-rag {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)

    def command(name: str, run: Callable[[argparse.Namespace], int | None], summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=summary)
        added.set_defaults(run=run)
        added.add_argument("--json", action="store_true", help="print one JSON object on standard output")
        return added

    ingest = command("ingest", _ingest, "Fetch the sources, extract their text, and index what changed.")
    ingest.add_argument("--topic", metavar="ID", help="only the links of one topic")
    ingest.add_argument("--source", metavar="URL", help="only this link")
    ingest.add_argument("--file", type=Path, help="a page, PDF or transcript saved by hand, as the text of --source")
    ingest.add_argument("--refresh", action="store_true", help="download again, even what has not changed")
    ingest.add_argument("--offline", action="store_true", help="build the index anew from what is stored, without a network")
    ingest.add_argument("--from", type=Path, dest="archive", metavar="FILE", help="ingest what a WARC file holds, without a network")
    ingest.add_argument("--export", type=Path, metavar="FILE", help="fetch nothing, write what was fetched as a WARC file (.warc.gz)")
    ingest.add_argument("--limit", type=int, metavar="N", help="fetch at most N links, those not tried for longest first; 0: none")

    search = command("search", _search, "Find passages, without an answer.")
    search.add_argument("query", help="what to look for; '-' reads questions as JSON lines from standard input")
    search.add_argument("-k", type=int, default=8, help="how many passages (default 8)")
    search.add_argument("--topic", metavar="ID", help="only sources of one topic")

    ask = command("ask", _ask, "Answer a question with citations that are checked.")
    ask.add_argument("question", help="the question; '-' reads questions as JSON lines from standard input")
    ask.add_argument("--topic", metavar="ID", help="only sources of one topic")
    ask.add_argument("--model", metavar="NAME", help="which model writes the answer")
    ask.add_argument("--strict", action="store_true", default=None, help="leave out sentences that no passage supports")
    ask.add_argument("--no-model", action="store_true", help="answer with quotes only")
    ask.add_argument("--explain", action="store_true", help="show how the answer came about")

    show = command("show", _show, "Print the stored text of a source.")
    show.add_argument("url", help="a link of the roadmap, roadmap:ID or notes:NAME")
    show.add_argument("--start", type=int, default=0, metavar="N", help="first character")
    show.add_argument("--end", type=int, metavar="N", help="character to stop before")

    status = command("status", _status, "Show what is ingested, per topic and per source.")
    status.add_argument("--topic", metavar="ID", help="only one topic")

    topics = command("topics", _topics, "Show the roadmap: its order, or one topic or path.")
    topics.add_argument("id", nargs="?", help="a topic or a path")

    add = command("add", _add, "Add a link of your own to a topic.")
    add.add_argument("url")
    add.add_argument("--topic", metavar="ID", required=True)
    command("remove", _remove, "Remove a link of your own.").add_argument("url")

    forget = command("forget", _forget, "Delete everything that was fetched and indexed; your links, notes and conversations stay.")
    forget.add_argument("--all", action="store_true", required=True, help="every source: there is no other way to forget")
    forget.add_argument("--yes", action="store_true", help="do not ask")

    command("doctor", _doctor, "Check that everything is ready, and say what to run where it is not.")

    models = command("models", _models, "List the models of Ollama; pull, register or recommend one.")
    models.add_argument("action", nargs="?", choices=["list", "pull", "register", "recommend"], default="list")
    models.add_argument("name", nargs="?", help="the model to pull (default: the recommended one) or register")
    models.add_argument("--file", type=Path, help="the GGUF file to register")

    history = command("history", _history, "List, show, export or delete stored conversations; print the feedback on answers.")
    history.add_argument(
        "action",
        nargs="?",
        choices=["list", "show", "export", "delete", "feedback"],
        default="list",
        help="feedback: each answer that was judged in the chat, as JSON lines that 'ask -' and 'eval' can read",
    )
    history.add_argument("id", nargs="?", help="the conversation")

    evaluate = command("eval", _eval, "Measure the assistant on the golden questions of eval/.")
    evaluate.add_argument("action", nargs="?", choices=["run", "suggest"], default="run", help="suggest: draft new golden questions")
    evaluate.add_argument("--suite", choices=SUITES, default="retrieval", help="what to measure (default retrieval)")
    evaluate.add_argument("--limit", type=int, metavar="N", help="ask a stratified sample of N questions (default: all, a model 40)")
    evaluate.add_argument("--type", action="append", choices=TYPES, help="ask only questions of this type; can be given again")
    evaluate.add_argument("--half", choices=["dev", "test"], default="", help="ask only one half: dev to develop on, test to measure")
    evaluate.add_argument("--model", metavar="NAME", help="measure this model beside the quotes")
    evaluate.add_argument("--judge", metavar="NAME", help="which model judges answers, or 'checks': the program's own")
    evaluate.add_argument("--labelled", type=int, metavar="N", help="labelled answers that the judge's card is made on (default 24)")
    evaluate.add_argument("--gate", action="store_true", help="exit 4 when a metric is below its floor in eval/floors.toml")
    evaluate.add_argument("--compare", metavar="RUN", help="compare with an earlier run, question by question")
    evaluate.add_argument("--lower-floors", metavar="REASON", default="", help="bring down the floors that are missed; the reason is kept")

    chat = command("chat", _chat, "Open the chat in a browser.")
    chat.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1: this machine only)")
    chat.add_argument("--port", type=int, default=7860)
    chat.add_argument(
        "--password", nargs="?", const="", metavar="WORD", help="let nobody in without it; asked for here when WORD is left out"
    )
    chat.add_argument("--no-ingest", action="store_true", help="do not fetch the linked pages beside the chat")
    return parser


# ------------------------------------------------------------------------------------------------------------------------ commands


def _ingest(options: argparse.Namespace) -> int:
    from roadmap_rag.ingest import Request

    if options.file is not None and options.source is None:
        raise UsageError("--file needs --source URL: which link is it the text of?")
    if options.limit is not None and options.limit < 0:
        raise UsageError("--limit cannot be below 0")
    if sum(bool(way) for way in (options.file, options.archive, options.offline, options.export)) > 1:
        raise UsageError("--file, --from, --offline and --export are four ways to do without the web: choose one")
    app = _app()
    if options.export is not None:
        return _export(app, options)
    if options.topic is not None:
        app.roadmap.topic(options.topic)
    if options.source is not None:
        _check_source(app, options.source)
    request = Request(options.topic, options.source, options.file, options.refresh, options.offline, options.limit, archive=options.archive)
    offline = options.offline or options.file is not None or options.archive is not None
    try:
        with contextlib.ExitStack() as stack:
            fetcher = None if offline else stack.enter_context(app.fetcher())
            progress = stack.enter_context(_progress_bar())
            ingestor = app.ingestor(fetcher, progress)
            if not offline:
                _announce(ingestor.plan(request, app.config.fetch_delay))
            report = ingestor.run(request)
    except KeyboardInterrupt:
        print("roadmap-rag: stopped; what was fetched is kept, go on with: roadmap-rag ingest", file=sys.stderr)
        return INTERRUPTED
    _print(options, report.as_dict(), lambda console: _print_report(console, report))
    return SOME_FAILED if report.summary.failed or report.summary.blocked else 0


def _announce(plan: Plan) -> None:
    """Say before a long run how long it will be."""
    if plan.seconds < LONG_RUN:
        return
    minutes = round(plan.seconds / 60)
    about = f"{plan.seconds:.0f} seconds" if minutes < 2 else f"{minutes} minutes"
    print(
        f"roadmap-rag: {len(plan.sources)} links on {plan.hosts} sites, about {about} at the polite pace, "
        "longer where new texts have to be embedded; Ctrl-C stops, and nothing is lost",
        file=sys.stderr,
    )


def _export(app: App, options: argparse.Namespace) -> int:
    from roadmap_rag.ingest import write_archive

    pages = write_archive(app.corpus, options.export, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    if pages == 0:
        raise StorageError("nothing has been fetched yet; run: roadmap-rag ingest")
    said = f"{pages} pages written to {options.export}; read them elsewhere with: roadmap-rag ingest --from {options.export.name}"
    _print(options, {"file": str(options.export), "pages": pages}, lambda console: console.print(said, markup=False))
    return 0


def _forget(options: argparse.Namespace) -> int:
    from roadmap_rag.ingest import forget_everything

    app = _app()
    stored = sum(state.document_id is not None for state in app.corpus.states().values())
    about = f"{stored} fetched pages and the index of {app.home}"
    if not options.yes:
        if not sys.stdin.isatty():
            raise UsageError(f"forget --all deletes {about}; add --yes when nobody can be asked")
        print(f"Delete {about}? Your links, notes and conversations stay. [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("roadmap-rag: nothing was deleted", file=sys.stderr)
            return 1
    forget_everything(app.corpus, app.index)
    _print(options, {"forgotten": stored}, lambda console: console.print(f"deleted: {about}", markup=False))
    return 0


def _search(options: argparse.Namespace) -> int:
    if options.k < 1:
        raise UsageError("-k must be at least 1")
    app = _app()
    if options.topic is not None:
        app.roadmap.topic(options.topic)
    if options.query == "-":
        return answer_lines(app, lambda line: _search_line(app, options, line))
    check_question(options.query)
    from roadmap_rag.output import print_hits, search_object

    retrieval = app.retriever.search(options.query, k=options.k, topic=options.topic)
    _print(options, search_object(retrieval), lambda console: print_hits(console, retrieval))
    return 0


def _search_line(app: App, options: argparse.Namespace, line: Line) -> dict[str, Any]:
    from roadmap_rag.output import search_object

    return search_object(app.retriever.search(line.question, k=options.k, topic=line.topic or options.topic, history=line.history))


def _ask(options: argparse.Namespace) -> int:
    if options.question != "-":
        check_question(options.question)
    app = _app()
    if options.topic is not None:
        app.roadmap.topic(options.topic)
    app.retriever.generation()  # a missing index is told before anything heavy is loaded
    engine = app.engine(model=options.model, quotes_only=options.no_model, strict=options.strict)
    if options.question == "-":
        return answer_lines(app, lambda line: _ask_line(engine, options, line))
    from roadmap_rag.output import answer_object, print_answer, print_trace

    answer = _run_question(engine, options)
    _remember(app, answer)

    def show(console: Console) -> None:
        print_answer(console, answer)
        if options.explain:
            print_trace(console, answer)

    _print(options, answer_object(answer, explain=options.explain), show)
    return 0


def _run_question(engine: RoadmapQueryEngine, options: argparse.Namespace) -> Answer:
    """Ask, showing stages and the growing draft on a terminal."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from roadmap_rag.query_engine import Done, Draft, Stage

    console = Console(stderr=True)
    draft = ""
    with Live(console=console, transient=True, refresh_per_second=8) if console.is_terminal else contextlib.nullcontext() as live:
        for event in engine.run(options.question, topic=options.topic):
            if isinstance(event, Done):
                return event.answer
            if isinstance(event, Draft):
                draft += event.text
            if live is not None:
                stage = event.detail + " …" if isinstance(event, Stage) else "Writing …"
                live.update(Text(draft[-2_000:], style="dim") + Text(f"\n{stage}", style="cyan"))
    raise AssertionError("a run ends with its answer")


def _ask_line(engine: RoadmapQueryEngine, options: argparse.Namespace, line: Line) -> dict[str, Any]:
    from roadmap_rag.output import answer_object

    answer = engine.ask(line.question, topic=line.topic or options.topic, history=line.history)
    return answer_object(answer, explain=options.explain)


def _remember(app: App, answer: Answer) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        app.store.add(app.store.start(answer.question, now), answer, now)
    except StorageError as error:
        print(f"roadmap-rag: not kept in the history: {error}", file=sys.stderr)


def _show(options: argparse.Namespace) -> None:
    app = _app()
    found: dict[str, Any] | None = None
    if app.index.current() is not None:
        with app.index.open() as generation:
            document = generation.documents().get(options.url)
            text = generation.text(options.url)
        if document is not None and text is not None:
            dated = None if options.url.startswith("roadmap:") else document.fetched_at
            found = {"url": options.url, "title": document.title, "text": text, "fetched_at": dated, "snapshot": document.snapshot}
    if found is None and (stored := app.corpus.document(options.url)) is not None:
        state = app.corpus.states()[options.url]
        found = {"url": options.url, "title": stored.title, "text": stored.text, "fetched_at": state.fetched_at, "snapshot": state.snapshot}
    if found is None:
        raise StorageError(f"there is no stored text of {options.url}; fetch it with: roadmap-rag ingest --source {options.url}")
    if options.start < 0 or (options.end is not None and options.end < options.start):
        raise UsageError("--start and --end count characters from 0, and --end is not before --start")
    found["text"] = found["text"][options.start : options.end]
    _print(options, found, lambda console: console.print(found["text"], markup=False, highlight=False))


def _status(options: argparse.Namespace) -> None:
    from roadmap_rag.output import print_status
    from roadmap_rag.status import coverage

    app = _app()
    if options.topic is not None:
        app.roadmap.topic(options.topic)
    status = coverage(app, options.topic, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    _print(options, status, lambda console: print_status(console, status))


def _topics(options: argparse.Namespace) -> None:
    from roadmap_rag.output import print_path, print_topic, print_topics
    from roadmap_rag.roadmap import as_dict

    roadmap = _app().roadmap
    values = as_dict(roadmap, options.id)

    def show(console: Console) -> None:
        if options.id is None:
            print_topics(console, roadmap)
        elif any(path.id == options.id for path in roadmap.paths):
            print_path(console, roadmap, options.id)
        else:
            print_topic(console, roadmap, options.id)

    _print(options, values, show)


def _add(options: argparse.Namespace) -> None:
    from roadmap_rag.roadmap import add_link

    app = _app()
    add_link(app.links_file, app.roadmap, options.url, options.topic)
    said = f"added to {options.topic}; fetch it with: roadmap-rag ingest --source {options.url}"
    _print(options, {"url": options.url, "topic": options.topic}, lambda console: console.print(said, markup=False))


def _remove(options: argparse.Namespace) -> None:
    from roadmap_rag.roadmap import remove_link

    topics = remove_link(_app().links_file, options.url)
    said = f"removed from {', '.join(topics)}; the next full ingest forgets its text"
    _print(options, {"url": options.url, "topic": topics[0]}, lambda console: console.print(said, markup=False))


def _doctor(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from roadmap_rag.doctor import examine, ready

    checks = examine()
    values = {"ok": ready(checks), "checks": [{k: v for k, v in asdict(check).items() if k != "needed"} for check in checks]}

    def show(console: Console) -> None:
        for check in checks:
            mark = "[green]ok[/]  " if check.ok else "[red]no[/]  " if check.needed else "[yellow]--[/]  "
            console.print(mark, f"{check.name}: {check.detail}", end="" if check.remedy else "\n", highlight=False)
            if check.remedy:
                console.print(f"\n      run: {check.remedy}", highlight=False)
        console.print("ready" if values["ok"] else "not ready")

    _print(options, values, show)
    return 0 if values["ok"] else 1


def _models(options: argparse.Namespace) -> None:
    from roadmap_rag.generate import OllamaServer

    app = _app()
    if options.action == "recommend":
        return _recommend_models(options)
    if options.action in ("pull", "register"):
        if options.action == "register" and (not options.name or options.file is None):
            raise UsageError("models register needs a NAME and --file FILE.gguf")
        server = OllamaServer(app.ollama_host)
        steps = server.pull(options.name or _recommended()) if options.action == "pull" else server.register(options.name, options.file)
        with _byte_bar() as update:
            for step in steps:
                update(step.status, step.completed, step.total)
    diagnosis = app.diagnose()
    if diagnosis.problem is not None and not diagnosis.models:
        raise GeneratorError(f"{diagnosis.detail}; run: {diagnosis.remedy}")
    chosen, why = app.choose_model(diagnosis)
    rows: list[dict[str, Any]] = [
        {
            "name": model.name,
            "size": model.size,
            "context": model.context,
            "chosen": chosen is not None and model.name == chosen.name,
            "why": why if chosen is not None and model.name == chosen.name else "",
            "quantisation": model.quantisation,
            "parameters": model.parameters,
            "thinking": model.thinking,
            "embedding": model.embedding,
        }
        for model in diagnosis.models
    ]

    def show(console: Console) -> None:
        for row in rows:
            kind = "embeddings" if row["embedding"] else "thinks" if row["thinking"] else ""
            mark = "*" if row["chosen"] else " "
            console.print(
                f"{mark} {row['name']}  {row['size'] / 1e9:.1f} GB  {row['quantisation']}  window {row['context']}  {kind}", markup=False
            )
        console.print(why, markup=False)

    _print(options, {"models": rows}, show)
    return None


def _recommended() -> str:
    from roadmap_rag.generate import recommend
    from roadmap_rag.wiring import this_machine

    picked = next((row.name for row in recommend(this_machine()) if row.picked), None)
    if picked is None:
        raise GeneratorError("no model of the table fits this machine; answers are quotes, or name a model: roadmap-rag models pull NAME")
    return picked


def _recommend_models(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    from roadmap_rag.generate import recommend
    from roadmap_rag.wiring import this_machine

    rows = recommend(this_machine())

    def show(console: Console) -> None:
        for row in rows:
            mark = "*" if row.picked else " "
            speed = f"measured: {row.measured.answer_speed:.0f} tokens/s ({row.measured.machine})" if row.measured else "listed only"
            fits = "" if row.fits else "  too large for this machine"
            console.print(f"{mark} {row.name}  {row.size / 1e9:.1f} GB  {row.note}  {speed}{fits}", markup=False)
        console.print("the starred one is for this machine; get it with: roadmap-rag models pull", markup=False)

    _print(options, {"models": [asdict(row) for row in rows]}, show)


def _history(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    from roadmap_rag.store import export_markdown

    store = _app().store
    if options.action == "feedback":
        return _feedback(options, store)
    if options.action != "list" and not options.id:
        raise UsageError(f"history {options.action} needs the ID of a conversation; list them with: roadmap-rag history")
    if options.action == "delete":
        store.delete(options.id)
    found = store.conversations() if options.action in ("list", "delete") else [store.conversation(options.id)]

    def show(console: Console) -> None:
        if options.action in ("list", "delete"):
            for each in found:
                console.print(f"{each.id}  {each.changed_at}  {each.title}", markup=False, highlight=False)
            if not found:
                console.print("no conversations yet")
        else:
            print(export_markdown(found[0]), end="")

    _print(options, {"conversations": [asdict(each) for each in found]}, show)
    return None


def _feedback(options: argparse.Namespace, store: Store) -> None:
    from dataclasses import asdict

    found = [asdict(each) for each in store.feedback()]

    def show(_: Console) -> None:
        for each in found:
            print(json.dumps(each, ensure_ascii=False))

    _print(options, {"feedback": found}, show)


def _eval(options: argparse.Namespace) -> int:
    from roadmap_rag.output import print_evaluation
    from roadmap_rag.wiring import project_folder

    project = project_folder()
    if project is None:
        raise UsageError("the golden questions lie in the project's eval/ folder; run this in a checkout")
    if options.limit is not None and options.limit < 1:
        raise UsageError("--limit must be at least 1")
    if options.action == "suggest":
        return _suggest(options, project / "eval" / "golden")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with _progress_bar() as progress:
        values = _run_suite(options, project / "eval", now, progress)
    _print(options, values, lambda console: print_evaluation(console, values, Path(values["stored"])))
    return GATE_FELL_SHORT if values["gate"] is not None and not values["gate"]["passed"] else 0


def _suggest(options: argparse.Namespace, golden: Path) -> int:
    """Draft questions and let the person at the terminal accept them; without one, or with --json, only print them."""
    from roadmap_rag.evaluation import suggest
    from roadmap_rag.evaluation.golden import load_questions

    app = _app()
    generation = app.retriever.generation()
    covered = frozenset(url for question in load_questions(golden) for one in question.evidence for url in one.urls)
    writer = app.writer(options.model).generator if options.model else None
    drafts = suggest.from_feedback(app.store.feedback(), generation)
    drafts += suggest.from_passages(generation, covered, options.limit or SUGGESTED, writer)
    if options.json or not sys.stdin.isatty():
        rows = [suggest.as_entry(draft.question, "") | {"origin": draft.origin} for draft in drafts]
        _print(options, {"drafts": rows}, lambda console: console.print("\n".join(row["question"] for row in rows), markup=False))
        return 0
    accepted = suggest.review(drafts, input, print)
    if accepted:
        print(f"{len(accepted)} questions added to {suggest.append(accepted, golden)}")
    return 0


def _run_suite(options: argparse.Namespace, data: Path, now: str, progress: Callable[[Progress], None]) -> dict[str, Any]:
    from roadmap_rag.evaluation.suites import RUNNERS, Wanted
    from roadmap_rag.ingest import Progress

    app = _app()
    results = app.home / "eval" / "results"

    def told(what: str, done: int, of: int) -> None:
        progress(Progress("ask", done, of, what))

    if options.suite == "all":
        return _together([_run_suite(each, data, now, progress) for each in _each_suite(options)])
    if (options.gate or options.lower_floors) and (options.type or options.half):
        raise UsageError("the bounds are for all types and both halves: leave out --type and --half with --gate")
    if options.suite == "ragas" and options.gate:
        raise UsageError("no gate uses a judge: --gate is for the suites retrieval, answers and robustness")
    wanted = Wanted(
        app,
        data,
        results,
        now,
        limit=None if options.suite == "retrieval" and options.gate else options.limit,
        types=tuple(options.type or ()),
        half=options.half,
        model=options.model,
        judge=options.judge,
        labelled=options.labelled,
        compare_with=options.compare,
        gate=options.gate,
        lower=options.lower_floors,
        progress=told,
    )
    return RUNNERS[options.suite](wanted)


def _each_suite(options: argparse.Namespace) -> Iterator[argparse.Namespace]:
    """The options of every suite; --compare then names a run of each, as a run of all of them prints."""
    earlier = (options.compare or "").split()
    for name in SUITES[:-1]:
        if name == "ragas" and not options.judge:
            continue
        compare = next((run for run in earlier if run.startswith(f"{name}-")), None)
        changed = {"suite": name, "compare": compare, "gate": options.gate and name != "ragas"}
        yield argparse.Namespace(**(vars(options) | changed))


def _together(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Several suites as one object; each stays stored by itself."""
    gates = [part["gate"] for part in parts if part["gate"] is not None]
    return {
        "run": " ".join(part["run"] for part in parts),
        "suite": "all",
        "metrics": [metric | {"name": f"{part['suite']}, {metric['name']}"} for part in parts for metric in part["metrics"]],
        "gate": {
            "passed": all(gate["passed"] for gate in gates),
            "shortfalls": [short for gate in gates for short in gate["shortfalls"]],
            "notes": [note for gate in gates for note in gate["notes"]],
        }
        if gates
        else None,
        "notes": [note for part in parts for note in part.get("notes", ())],
        "compared": [each | {"name": f"{part['suite']}, {each['name']}"} for part in parts for each in part["compared"]],
        "suites": {part["suite"]: {"report": part["report"], "seconds": part["seconds"]} for part in parts},
        "stored": parts[0]["stored"],
    }


def _chat(options: argparse.Namespace) -> None:
    app = _app()
    if not 0 < options.port < 65_536:
        raise UsageError("--port is a number from 1 to 65535")
    password = options.password
    if password == "":
        password = getpass.getpass("Password for this chat: ")
        if not password:
            raise UsageError("an empty password keeps nobody out")
    from roadmap_rag.ui import launch

    launch(
        app, host=options.host, port=options.port, password=password, ingest=not options.no_ingest and os.environ.get("INGEST", "1") != "0"
    )


# ---------------------------------------------------------------------------------------------------------------------- helpers


def _app() -> App:
    from roadmap_rag.wiring import App, read_config

    return App(read_config())


def _check_source(app: App, url: str) -> None:
    if url.startswith(("roadmap:", "notes:")):
        return
    if not any(source.url == url for source in app.roadmap.sources()):
        raise UsageError(f"{url} is no link of the roadmap; add it with: roadmap-rag add {url} --topic ID")


def _print(options: argparse.Namespace, values: dict[str, Any], show: Callable[[Console], None]) -> None:
    if options.json:
        print(json.dumps(values, ensure_ascii=False))
        return
    from rich.console import Console

    show(Console(soft_wrap=not sys.stdout.isatty()))


def _print_report(console: Console, report: Report) -> None:
    from roadmap_rag.output import print_report

    print_report(console, report)


@contextlib.contextmanager
def _progress_bar() -> Iterator[Callable[[Progress], None]]:
    """A bar on standard error while it is a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    names = {"ask": "asking", "fetch": "fetching", "embed": "embedding", "index": "indexing"}
    columns = (
        TextColumn("{task.description:10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[what]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def update(step: Progress) -> None:
            if step.stage not in tasks:
                tasks[step.stage] = bar.add_task(names[step.stage], total=step.of, what="")
            bar.update(tasks[step.stage], completed=step.done, total=step.of, what=step.what[:50])

        yield update


@contextlib.contextmanager
def _byte_bar() -> Iterator[Callable[[str, int | None, int | None], None]]:
    if not sys.stderr.isatty():
        yield lambda _status, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda status, done, total: bar.update(task, description=status[:40], completed=done or 0, total=total)


def run() -> NoReturn:
    """The console script: like ``main``, and ends quietly when it is told to (SIGTERM)."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
