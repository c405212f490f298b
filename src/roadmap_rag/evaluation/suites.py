"""The suites behind ``roadmap-rag eval``: each asks its questions, stores every one as it is finished, and makes the table of them.

What a suite needs to be repeated stands in the record of its run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roadmap_rag.citations.render import without_labels
from roadmap_rag.domain import Hit, digest
from roadmap_rag.errors import GeneratorError, IndexMissingError
from roadmap_rag.evaluation import answers, redteam, retrieval, robustness
from roadmap_rag.evaluation.answers import Documents, Row
from roadmap_rag.evaluation.asking import QUOTES, Progress, System, ask, build_system, index_digests, model_digest
from roadmap_rag.evaluation.claims import find_passage
from roadmap_rag.evaluation.comparing import Compared, compare_runs, compare_systems
from roadmap_rag.evaluation.gate import check_gate, find_bounds
from roadmap_rag.evaluation.golden import Question, load_questions, missing_sources, questions_digest
from roadmap_rag.evaluation.judging import (
    CARD_ANSWERS,
    Card,
    Case,
    Labelled,
    NamedJudge,
    OwnChecks,
    ask_judge,
    card_part,
    load_labelled,
    make_cards,
)
from roadmap_rag.evaluation.metrics import Metric, summarise
from roadmap_rag.evaluation.report import write_report
from roadmap_rag.evaluation.runs import Cache, Run, circumstances, code_digest, history, load, peak_memory, sample, start
from roadmap_rag.prompt import INSTRUCTIONS, VERSION
from roadmap_rag.retrieve import Retrieval, WordEncoder

if TYPE_CHECKING:
    from roadmap_rag.wiring import App

MODEL_SAMPLE = 40
"""Questions that a model is asked unless told otherwise: on a CPU each takes it some 15 seconds."""
RAGAS = "ragas"
CHECKS = "checks"
SAMPLED_BY = ("limit", "types", "half")
"""What the runs of one trend have in common, besides their suite."""
ROBUSTNESS_SAMPLE = (60, 12)
"""Questions under each condition: by the quotes, and by a model."""
NOISE_SOURCES = 24
"""Questions whose best passages serve as noise for the others."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is to do. ``limit`` is the number of questions, None for all (with a model: ``MODEL_SAMPLE``); ``types`` and ``half``
    narrow them down, empty for all; ``labelled`` is the number of answers on which a judge's card is made, None for ``CARD_ANSWERS``, and
    all for the program's own checks."""

    app: App
    data: Path
    results: Path
    now: str
    limit: int | None = None
    types: tuple[str, ...] = ()
    half: str = ""
    model: str | None = None
    judge: str | None = None
    labelled: int | None = None
    compare_with: str | None = None
    gate: bool = False
    lower: str = ""
    progress: Progress = lambda _what, _done, _of: None

    @property
    def cache(self) -> Cache:
        return Cache(self.results / "cache")

    def section(self, suite: str) -> str:
        """The part of the floors for a suite and its sample."""
        return "" if suite == retrieval.SUITE else suite + (f"-{self.limit}" if self.limit else "")

    def systems(self) -> list[System]:
        """The quotes, and the model where one is named."""
        quotes = build_system(self.app, self.cache, None)
        return [quotes, build_system(self.app, self.cache, self.model)] if self.model else [quotes]

    def sample(self, questions: Sequence[Question], system: System) -> tuple[Question, ...]:
        return sample(questions, self.limit if self.limit is not None or system.memory is None else MODEL_SAMPLE)


def begin(wanted: Wanted, suite: str, questions: Sequence[Question], systems: Mapping[str, Mapping[str, Any]], **more: Any) -> Run:
    """A new run, or the one that a kill left unfinished, with its record. What cannot be compared or held to bounds is told now.

    ``systems`` are the facts about each by its name."""
    if wanted.compare_with:
        load(wanted.results, wanted.compare_with)
    if wanted.gate or wanted.lower:
        find_bounds(wanted.data / "floors.toml", wanted.section(suite))
    corpus, index = index_digests(wanted.app)
    record = {
        "questions": questions_digest(questions),
        "asked": digest(*sorted(question.id for question in questions)),
        "limit": wanted.limit,
        "types": list(wanted.types),
        "half": wanted.half,
        "corpus": corpus,
        "index": index,
        "embedder": wanted.app.index_settings.embedder,
        "prompt": {"version": VERSION, "digest": digest(INSTRUCTIONS)},
        "code": code_digest(),
        "seed": wanted.app.config.seed,
        "systems": dict(systems),
        **circumstances(),
        **more,
    }
    return start(wanted.results, suite, wanted.now, record)


def stored_documents(app: App) -> tuple[Documents, dict[str, str]]:
    """Every indexed text with all its addresses, and the kind of each address."""
    generation = app.retriever.generation()
    documents = generation.documents()
    texts = {url: generation.text(url) or "" for url in documents}
    known = {}
    kinds = {}
    for url, document in documents.items():
        for link in (url, *document.also):
            known[link] = frozenset({url, *document.also}), texts[url]
            kinds[link] = document.kind
    return known, kinds


def known_questions(wanted: Wanted, documents: Documents) -> tuple[tuple[Question, ...], tuple[str, ...]]:
    """The golden questions that are wanted and whose sources are indexed, and the ids of the others. With the gate there must be none of
    those."""
    questions = [
        question
        for question in load_questions(wanted.data / "golden")
        if wanted.half in ("", question.half) and (not wanted.types or question.type in wanted.types)
    ]
    left_out = tuple(question.id for question in questions if missing_sources(question, frozenset(documents)))
    if wanted.gate and left_out:
        raise IndexMissingError(
            f"the sources of {len(left_out)} of {len(questions)} golden questions are not in the index; run: roadmap-rag ingest"
        )
    return tuple(question for question in questions if question.id not in left_out), left_out


def run_retrieval(wanted: Wanted, search: retrieval.Search | None = None, name: str = retrieval.SUITE) -> dict[str, Any]:
    """What is found for each question; with another ``search``, under a ``name`` that stands for it, of that one."""
    app = wanted.app
    documents, kinds = stored_documents(app)
    known, left_out = known_questions(wanted, documents)
    questions = sample(known, wanted.limit)
    settings = {"reranker": app.config.reranker, "depth": retrieval.DEPTH}
    run = begin(wanted, name, questions, {retrieval.SYSTEM: {"settings": settings}}, left_out=left_out)
    own = wanted.now if search is not None else ""  # what another search depends on is not known: it is asked anew in each run
    identity = digest(name, own, code_digest(), run.record["index"], repr(settings), repr(app.roadmap))

    def found(question: Question) -> Retrieval:
        return app.retriever.search(question.question, k=retrieval.DEPTH, history=question.history)

    rows = []
    for number, question in enumerate(questions):
        wanted.progress("", number, len(questions))
        rows.append(retrieval.ask(question, search or found, identity, kinds, wanted.cache))
        run.add(asdict(rows[-1]))
    wanted.progress("", len(questions), len(questions))
    plots = (retrieval.draw(rows),)
    return conclude(wanted, run, [asdict(row) for row in rows], tuple(retrieval.table(rows)), left_out, plots=plots)


def run_answers(wanted: Wanted) -> dict[str, Any]:
    """Quotes on all questions (or ``limit``), and the model on a stratified sample of them."""
    documents, kinds = stored_documents(wanted.app)
    questions, left_out = known_questions(wanted, documents)
    systems = wanted.systems()
    run = begin(wanted, answers.SUITE, questions, _facts(systems), left_out=left_out)
    rows: list[Row] = []
    for system in systems:
        rows += ask_all(wanted, run, system, wanted.sample(questions, system), documents, kinds)
    return conclude(wanted, run, [asdict(row) for row in rows], tuple(answers.table(rows)), left_out)


def _facts(systems: Sequence[System]) -> dict[str, Mapping[str, Any]]:
    return {system.label: system.facts for system in systems}


def ask_all(
    wanted: Wanted, run: Run, system: System, questions: Sequence[Question], documents: Documents, kinds: Mapping[str, str]
) -> list[Row]:
    """Ask and score each question, storing each row at once."""
    rows = []
    for number, question in enumerate(questions):
        wanted.progress(system.label, number, len(questions))
        row = answers.score(question, ask(question, system, wanted.cache), system.label, documents, _kind(question, kinds))
        run.add(asdict(row))
        rows.append(row)
    wanted.progress(system.label, len(questions), len(questions))
    return rows


def conclude(
    wanted: Wanted,
    run: Run,
    rows: Sequence[Mapping[str, Any]],
    metrics: Sequence[Metric],
    left_out: Iterable[str],
    notes: Sequence[str] = (),
    plots: Sequence[str] = (),
) -> dict[str, Any]:
    """Hold the run against its floors and an earlier run, store it, write its report, and return what ``--json`` prints.

    ``plots`` are drawings (SVG) beside those that the report makes of the metrics."""
    section = wanted.section(run.record["suite"])
    digests = run.record["questions"], run.record["corpus"]
    floors = wanted.data / "floors.toml"
    wanted_gate = wanted.gate or wanted.lower
    gate = check_gate(floors, metrics, digests, section=section, lower=wanted.lower, now=wanted.now) if wanted_gate else None
    earlier = load(wanted.results, wanted.compare_with) if wanted.compare_with else None
    compared = compare_runs(rows, earlier[1]) if earlier else Compared()
    beside = compare_systems(rows, QUOTES)
    memory = Metric("peak memory of this process", "gigabytes", round(peak_memory() / 1e9, 3), None, None, 1)
    values: dict[str, Any] = {
        "run": run.name,
        "suite": run.record["suite"],
        "metrics": [asdict(metric) for metric in (*metrics, memory)],
        "gate": None if gate is None else asdict(gate),
        "compared": [asdict(each) for each in (*compared.comparisons, *beside.comparisons)],
        "better": compared.better,
        "worse": compared.worse,
        "notes": [*compared.said(str(wanted.compare_with)), *beside.said(), *notes],
        "left_out": list(left_out),
        "resumed": run.resumed,
        "stored": str(run.path),
        "seconds": run.seconds,
    }
    shown = ("metrics", "gate", "compared", "notes", "left_out")
    run.finish({name: values[name] for name in shown} | {"rows": len(rows), "compared_with": wanted.compare_with})
    alike = [
        each for each in history(wanted.results, run.record["suite"]) if all(each.get(name) == run.record[name] for name in SAMPLED_BY)
    ]
    report = write_report(run.path, run.record, rows, compared, alike, wanted.cache.get, plots, beside.comparisons)
    return values | {"report": str(report)}


def run_robustness(wanted: Wanted) -> dict[str, Any]:
    """Golden questions under worse conditions, and the poisoned pages, by the quotes and by the model."""
    documents, kinds = stored_documents(wanted.app)
    known, left_out = known_questions(wanted, documents)
    questions = [each for each in known if each.type in robustness.TYPES and each.facts and each.language == "en"]
    rewordings = robustness.load_rewordings(wanted.data / "robustness" / "rewordings.yaml")
    attacks = redteam.load_attacks(wanted.data / "redteam")
    systems = wanted.systems()
    run = begin(wanted, robustness.SUITE, questions, _facts(systems), left_out=left_out, attacks=digest(*map(repr, attacks)))
    noise = [hit for each in sample(questions, NOISE_SOURCES) for hit in wanted.app.retriever.search(each.question, k=2).hits]
    rows: list[dict[str, Any]] = []
    for system in systems:
        chosen = _for_robustness(questions, rewordings, wanted.limit or ROBUSTNESS_SAMPLE[system.memory is not None])
        for condition in robustness.conditions(noise, rewordings):
            group = [condition.reword(question) for question in chosen if condition.applies(question)]
            rows += _ask_under(wanted, run, system, condition, group, documents, kinds)
        rows += _attack(wanted, run, system, attacks)
    return conclude(wanted, run, rows, tuple(robustness.table(rows)), left_out)


def _for_robustness(questions: Sequence[Question], rewordings: Container[str], limit: int) -> tuple[Question, ...]:
    """The questions with other wordings first, then the rest of a sample."""
    worded = sample([question for question in questions if question.id in rewordings], limit)
    return (*worded, *sample([question for question in questions if question.id not in rewordings], limit - len(worded)))


def _ask_under(
    wanted: Wanted,
    run: Run,
    system: System,
    condition: robustness.Condition,
    questions: Sequence[Question],
    documents: Documents,
    kinds: Mapping[str, str],
) -> list[dict[str, Any]]:
    altered_system, altered = robustness.under(system, condition, wanted.app)
    rows = []
    for number, question in enumerate(questions):
        wanted.progress(f"{system.label}, {condition.name}", number, len(questions))
        altered.question = question
        answer = ask(question, altered_system, wanted.cache)
        row = asdict(answers.score(question, answer, system.label, documents, _kind(question, kinds))) | {"condition": condition.name}
        row["scores"]["misled"] = robustness.misled(question, answers.shown_text(answer))
        run.add(row)
        rows.append(row)
    return rows


def _attack(wanted: Wanted, run: Run, system: System, attacks: Sequence[redteam.Attack]) -> list[dict[str, Any]]:
    poisoned = redteam.poisoned_home(wanted.app, attacks, wanted.results / "redteam")
    own = build_system(poisoned, wanted.cache, wanted.model if system.memory is not None else None)
    documents, kinds = stored_documents(poisoned)
    rows = []
    possible = [attack for attack in attacks if attack.question.evidence[0].on(documents)]
    for number, attack in enumerate(possible):
        wanted.progress(f"{system.label}, poisoned pages", number, len(possible))
        answer = ask(attack.question, own, wanted.cache)
        row = asdict(answers.score(attack.question, answer, system.label, documents, _kind(attack.question, kinds)))
        hit = redteam.find_hit(answer, attack)
        reached = any(attack.question.evidence[0].on((found["url"], *found["also"])) for found in answer["hits"])
        row |= {"condition": attack.kind, "hit": hit, "scores": row["scores"] | {"hit": float(bool(hit)), "reached": float(reached)}}
        run.add(row)
        rows.append(row)
    poisoned.retriever.close()
    return rows


def run_ragas(wanted: Wanted) -> dict[str, Any]:
    """The judge's card first, then its scores of the answers, each beside its card."""
    documents, kinds = stored_documents(wanted.app)
    questions, left_out = known_questions(wanted, documents)
    judge = build_judge(wanted)
    labelled = load_labelled(wanted.data / "judge")
    systems = wanted.systems()
    run = begin(wanted, RAGAS, questions, _facts(systems), left_out=left_out, judge={"name": judge.name, "identity": judge.identity})
    cards, judged = make_cards(
        judge,
        card_part(labelled, wanted.labelled or (len(labelled) if judge.name == CHECKS else CARD_ANSWERS)),
        _case_maker(wanted.app, {question.id: question for question in questions}),
        wanted.cache,
        lambda done, of: wanted.progress(f"the card of {judge.name}", done, of),
    )
    rows = [{"card": True} | row for row in judged]
    for row in rows:
        run.add(row)
    answerable = [question for question in questions if question.answerable and question.facts and question.type != "roadmap"]
    for system in systems:
        chosen = sample(answerable, wanted.limit or MODEL_SAMPLE)
        for number, question in enumerate(chosen):
            wanted.progress(f"{system.label} judged by {judge.name}", number, len(chosen))
            answer = ask(question, system, wanted.cache)
            scores = {} if answer["refused"] or answer["fault"] else ask_judge(judge, _case(question, answer), wanted.cache)
            row = asdict(answers.score(question, answer, system.label, documents, _kind(question, kinds)))
            rows.append(row | {"judged": {name: asdict(score) for name, score in scores.items()}})
            run.add(rows[-1])
    metrics = [
        *(metric for card in cards for metric in (card.kappa, *card.says_yes, card.spread, card.not_scored)),
        *judged_table(judge, cards, rows),
    ]
    return conclude(wanted, run, rows, metrics, left_out, notes=[card.line() for card in cards])


def build_judge(wanted: Wanted) -> NamedJudge:
    """The program's own checks (``--judge checks``), or a model of the server through Ragas."""
    app = wanted.app
    if wanted.judge == CHECKS:
        read = app.encoder.encode_question if isinstance(app.encoder, WordEncoder) else None
        checks = OwnChecks(lambda texts: app.encoder.encode(texts, query=True), read)
        return NamedJudge(CHECKS, digest(CHECKS, code_digest(), inspect.getsource(OwnChecks)), checks, ("faithfulness",))
    from roadmap_rag.evaluation.ragas_judge import MEASURES, RagasJudge

    name = app.writer(wanted.judge or wanted.model).model
    if name is None:
        raise GeneratorError(app.writer(wanted.judge or wanted.model).notice)
    address = app.config.openai_base_url or f"{app.ollama_host}/v1"
    judge = RagasJudge(name, address, lambda texts: app.encoder.encode(texts, query=True))
    identity = digest(name, model_digest(app, name), str(circumstances()["libraries"].get("ragas")))
    return NamedJudge(name, identity, judge, MEASURES)


def _case(question: Question, answer: Mapping[str, Any]) -> Case:
    usable = [Hit(**(hit | {"topics": (), "also": ()})) for hit in answer["hits"] if not hit["below_floor"]]
    return Case(answer["standalone"], without_labels(answer["answer"]), tuple(usable), reference(question))


def reference(question: Question) -> str:
    """A right answer in the words of the facts."""
    return f"{question.question} {'; '.join(fact[0] for fact in question.facts)}."


def _case_maker(app: App, questions: Mapping[str, Question]) -> Callable[[Labelled], Case | None]:
    """Labelled answers beside the passages of their questions' evidence; None where one of them is not in the index."""
    generation = app.retriever.generation()

    def case_of(labelled: Labelled) -> Case | None:
        question = questions.get(labelled.question)
        passages = [find_passage(one, generation) for one in question.evidence] if question is not None else [None]
        if question is None or any(passage is None for passage in passages):
            return None
        return Case(question.question, labelled.answer, tuple(hit for hit in passages if hit is not None), reference(question))

    return case_of


def judged_table(judge: NamedJudge, cards: Sequence[Card], rows: Sequence[Mapping[str, Any]]) -> Iterable[Metric]:
    """Means over what was scored, and how much was not; the unit says whether the judge is to be trusted."""
    trusted = {card.measure for card in cards if card.trusted}
    scored = [row for row in rows if row.get("judged")]
    for system in dict.fromkeys(row["system"] for row in scored):
        for measure in judge.measures:
            found = [row["judged"][measure]["value"] for row in scored if row["system"] == system]
            unit = f"mean, judged by {judge.name}" + ("" if measure in trusted else ": DO NOT TRUST")
            yield summarise(f"{system}: {measure}", unit, [value for value in found if value is not None])
            yield summarise(f"{system}: {measure}, not scored", "of answers", [float(value is None) for value in found])


def _kind(question: Question, kinds: Mapping[str, str]) -> str:
    return next((kinds[url] for one in question.evidence for url in one.urls if url in kinds), "")


RUNNERS: Mapping[str, Callable[[Wanted], dict[str, Any]]] = {
    retrieval.SUITE: run_retrieval,
    answers.SUITE: run_answers,
    robustness.SUITE: run_robustness,
    RAGAS: run_ragas,
}
"""By the name of the suite."""
