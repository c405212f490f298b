"""The conversation in the middle: asking with live stages, stopping, opening what an answer rests on. Every answer is kept in the store.

What the page shows is made from the store each time, so that a reload, a second tab and the next start show the same; nothing of a
conversation lives in this process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr

from roadmap_rag.domain import Answer, Timings, Tokens
from roadmap_rag.errors import RoadmapRagError, UsageError
from roadmap_rag.query_engine import Done, Draft, Event, RoadmapQueryEngine, Stage, Stop
from roadmap_rag.store import Conversation, Exchange
from roadmap_rag.ui.answers import answer_markdown, draft_markdown, plain, question_markdown
from roadmap_rag.ui.asking import events
from roadmap_rag.ui.panels import passage, status_line, trace
from roadmap_rag.ui.state import QUOTES_ONLY, now
from roadmap_rag.wiring import App

MAX_CHARACTERS = 10_000
"""Longer questions are refused, as the command line does."""
REMEMBERED_TURNS = 6
"""Messages before the question that may help to understand it."""
DRAFT_SECONDS = 0.12
"""Between two views of a growing text: quicker is only more work for the browser."""
STOPPED = "stopped before it was finished; nothing above has been checked"

Message = dict[str, Any]


class View(NamedTuple):
    """What a step of an answer changes on the page; the order is that of the outputs."""

    messages: Any
    box: Any
    status: str
    conversation: Any
    editing: Any = ""
    """The answer whose question is being edited; what is asked next takes its place."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and where: ``session`` names the tab, so that Stop there stops this; ``user`` is empty in a chat without a password."""

    session: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """How to answer: what the user has set for this tab."""

    topic: str = ""
    model: str = ""
    strict: bool = False
    passages: int = 8

    def engine(self, app: App) -> RoadmapQueryEngine:
        quotes_only = self.model == QUOTES_ONLY
        model = None if quotes_only else self.model or None
        return app.engine(model=model, quotes_only=quotes_only, strict=self.strict, passages=self.passages)


class Chat:
    """The chat of one home, for all its tabs."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._stops: dict[str, asyncio.Event] = {}

    # ------------------------------------------------------------------------------------------------------------------- asking

    async def ask(
        self, question: str, conversation: str, choices: Choices, asker: Asker, replaces: str = "", *, typed: bool = True
    ) -> AsyncGenerator[View, None]:
        """Views of an answer as it grows. It takes the place of the answer ``replaces`` and of what followed; ``typed`` empties the box."""
        question = question.strip()
        conversation, place = self._place(conversation, replaces, asker.user)
        shown = self.messages(conversation, asker.user, before=place)
        if not question or len(question) > MAX_CHARACTERS:
            said = "" if not question else f"A question may have {MAX_CHARACTERS:,} characters at most; this one has {len(question):,}."
            yield View(gr.skip(), gr.skip(), status_line(said, busy=False), gr.skip(), gr.skip())
            return
        if asker.session in self._stops:
            yield View(gr.skip(), gr.skip(), status_line("One answer is being written already: stop it first"), gr.skip(), gr.skip())
            return
        shown = [*shown, _message("user", question_markdown(question))]
        stop = self._stops[asker.session] = asyncio.Event()
        progress = _Progress(question)
        try:
            yield View([*shown, _message("assistant", "…")], writing_box(clear=typed), status_line("Searching the sources"), gr.skip())
            async for event in _until(stop, events(lambda stop: self._run(question, conversation, choices, place, stop))):
                if progress.take(event):
                    yield View([*shown, _message("assistant", progress.text)], gr.skip(), status_line(progress.stage), gr.skip())
            conversation = self._keep(conversation, progress, asker.user, place)
            yield View(self.messages(conversation, asker.user), waiting_box(), status_line("", busy=False), conversation)
        except Exception as error:  # noqa: BLE001 -- a defect must not leave a page that waits for ever
            said = str(error) if isinstance(error, RoadmapRagError) else f"unexpected {type(error).__name__}: {error}"
            problem = _message("assistant", f'<div class="problem">{plain(_capital(said))}</div>')
            yield View([*shown, problem], waiting_box(question), status_line("", busy=False), gr.skip(), replaces if typed else "")
        except (asyncio.CancelledError, GeneratorExit):  # the tab was closed
            if progress.draft:
                self._keep(conversation, progress, asker.user, place)
            raise
        finally:
            self._stops.pop(asker.session, None)

    async def stop(self, session: str) -> None:
        """End the answer that is being written in this tab."""
        if session in self._stops:
            self._stops[session].set()

    def _place(self, conversation: str, replaces: str, user: str) -> tuple[str, int | None]:
        """The conversation to go on with, a new one ("") where it is gone, and the number of the question to replace, if there is one."""
        try:
            exchanges = self.conversation(conversation, user).exchanges if conversation else ()
        except UsageError:
            return "", None
        numbers = {f"{conversation}.{each.id}": each.id for each in exchanges}
        return conversation, numbers.get(replaces)

    def _run(self, question: str, conversation: str, choices: Choices, place: int | None, stop: Stop) -> Iterator[Event]:
        turns = self.conversation(conversation).turns(place)[-REMEMBERED_TURNS:] if conversation else ()
        return choices.engine(self.app).run(question, topic=choices.topic or None, history=turns, strict=choices.strict, stop=stop)

    def _keep(self, conversation: str, progress: _Progress, user: str, place: int | None) -> str:
        """Store what came of a question, and return its conversation. Stopped before a word was written, it replaces nothing."""
        answer = progress.result()
        if place is not None and not (answer.answer or answer.refused):
            return conversation
        conversation = conversation or self.app.store.start(answer.question, now(), user)
        self.app.store.add(conversation, answer, now(), place)
        return conversation

    # ---------------------------------------------------------------------------------------------------------------- what is kept

    def conversation(self, name: str, user: str | None = None) -> Conversation:
        return self.app.store.conversation(name, user)

    def messages(self, conversation: str, user: str, before: int | None = None) -> list[Message]:
        """A stored conversation as the chat shows it; an unknown one and another user's is empty."""
        if not conversation:
            return []
        try:
            exchanges = self.conversation(conversation, user).before(before)
        except UsageError:
            return []
        return [message for each in exchanges for message in _exchange(conversation, each)]

    def exchange(self, reference: str) -> tuple[Exchange, str]:
        """The exchange that a link in an answer names, and what the link says beyond that (the number of a citation, or nothing)."""
        conversation, number, *rest = reference.split(".")
        for exchange in self.conversation(conversation).exchanges:
            if exchange.id == int(number):
                return exchange, rest[0] if rest else ""
        raise UsageError("this answer is no longer stored")

    def passage(self, reference: str) -> str:
        """The panel for a citation."""
        exchange, number = self.exchange(reference)
        citation = next(each for each in exchange.record["citations"] if str(each["n"]) == number)
        generation = self.app.retriever.generation()
        document = generation.documents().get(citation["url"])
        titles = {topic.id: topic.title for topic in self.app.roadmap.topics}
        topics = [(name, titles[name]) for name in (document.topics if document else ()) if name in titles]
        return passage(citation, generation.text(citation["url"]), topics, document.also if document else ())

    def why(self, reference: str) -> str:
        """The panel that explains an answer."""
        exchange, _ = self.exchange(reference)
        return trace(exchange.record, f"Asked {exchange.asked_at[:16].replace('T', ' ')} UTC")


class _Progress:
    """An answer on its way: what is shown of it so far."""

    def __init__(self, question: str) -> None:
        self.draft = ""
        self.stage = ""
        self._question = question
        self._answer: Answer | None = None
        self._model: str | None = None
        self._started = time.perf_counter()
        self._shown_at = 0.0

    @property
    def text(self) -> str:
        return draft_markdown(self.draft) if self.draft else "…"

    def take(self, event: Event) -> bool:
        """Note an event; tell whether the page should change now."""
        match event:
            case Stage(name, detail):
                self.stage = detail or name.capitalize()
                return True
            case Draft(text):
                self.draft += text
                due = time.monotonic() - self._shown_at >= DRAFT_SECONDS
                self._shown_at = time.monotonic() if due else self._shown_at
                return due
            case Done(answer):
                self._answer = answer
                return False

    def result(self) -> Answer:
        """The answer, or what there is of it when it was stopped."""
        if self._answer is not None:
            return self._answer
        return Answer(
            question=self._question,
            standalone=self._question,
            answer=self.draft,
            refused=False,
            reason=None,
            notices=(STOPPED,),
            model=self._model,
            sentences=(),
            citations=(),
            nearest_topics=(),
            timings=Timings(total=time.perf_counter() - self._started),
            tokens=Tokens(),
            trace={"stopped": True},
        )


async def _until(stop: asyncio.Event, steps: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """The steps until there are no more, or until ``stop`` is set."""
    ended = asyncio.ensure_future(stop.wait())
    try:
        while True:
            step = asyncio.ensure_future(anext(steps, None))
            await asyncio.wait({step, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                step.cancel()
                await asyncio.wait({step})
                return
            event = step.result()
            if event is None:
                return
            yield event
    finally:
        ended.cancel()
        await steps.aclose()


def _exchange(conversation: str, exchange: Exchange) -> list[Message]:
    answer = answer_markdown(exchange.record, f"{conversation}.{exchange.id}", exchange.feedback)
    return [_message("user", question_markdown(exchange.question)), _message("assistant", answer)]


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def writing_box(*, clear: bool = False) -> gr.Textbox:
    """The box while an answer is written: it can be typed in, and its button is Stop."""
    return gr.Textbox(value="", submit_btn=False, stop_btn="Stop") if clear else gr.Textbox(submit_btn=False, stop_btn="Stop")


def waiting_box(text: str | None = None) -> gr.Textbox:
    """The box when nothing runs; what was typed meanwhile stays, unless there is a text to put back."""
    return gr.Textbox(submit_btn="Ask", stop_btn=False) if text is None else gr.Textbox(value=text, submit_btn="Ask", stop_btn=False)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
