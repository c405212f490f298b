"""What a clause asks of the roadmap, by rules.

The names of a clause are replaced by marks, ``@`` for a topic, part or section and ``%`` for a path: "what do i need before @". Each kind
of question has its pattern, and the first that fits wins. Words that neither a name nor a rule accounts for are left over; a clause with
words left over asks about the roadmap only when it says so itself, in words such as "section", "lab", "the zero to hero path".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from roadmap_rag.domain import Path
from roadmap_rag.roadmap.names import DETAIL, Mention, Words
from roadmap_rag.roadmap.rules import KNOWN_WORDS, RULES, SETUP_WORDS
from roadmap_rag.text import STOP_WORDS

# What is said around a question.
_TALK = re.compile(
    r"^((hi|hello|hey|ok|okay|so|and|please|well|thanks|thank you|good morning|excuse me|sorry|also|then|but|now|btw|question)\b"
    r" ?(there|all|guys)? ?)+"
)
_ASKING = re.compile(
    r"would you say "
    r"|(can|could|would|will) you (please |kindly )?(also )?(tell|give|show|list|say|name|explain to|help)( to)?( me)?( with)? ?"
    r"|(tell|remind|show|give) me (please )?(about )?|i (would like|want|have like|like) to (know|ask|find out|see) |do you know "
    r"|i (was|am) wondering (if |about )?|i wonder (if |about )?|any idea |let me know |please"
)
_IN_THE_ROADMAP = re.compile(
    r"\b(in|of|on|from|within|according to|for|by|per|does|to|through|with)"
    r" ((this|whole|overall|entire|your|our|merged|llm|complete|full|that|general) )*"
    r"(roadmap|order|learning path|curriculum|syllabus|study plan)\b( of roadmap)?"
)
_IN_A_PATH = re.compile(r"(\b(in|of|from|within|according to|for|on|by|inside|to|does|through) )?%")
_OF_THE_ROADMAP = re.compile(r"\b(roadmap|learning path|curriculum|syllabus|labs?|prerequisites?|prereqs?)\b")
_ENTRY = re.compile(r"\b(entry test|self (assessment|rating|test))\b")
_NOUN_BEFORE = re.compile(
    r"\b(topic|section|chapter|subject|concept|part|track|block|segment|field|area|method)( (on|about|called|named))? @"
)
_NOUN_AFTER = re.compile(r"@ (topic|section|chapter|part|track|block|segment|subject|stage)\b")
_LIST_OF_NAMES = re.compile(r"@( (and|or|plus|as well as|with|using|via|versus)( (for|of|on|about))?)? @(( (and|or|plus))? @)*")
_POINTER = re.compile(r"\b(that one|this one|it|that|this|them|these|those|there|here|one|both)\b")
_OF_THE_WHOLE = re.compile(
    r"%|\broadmap\b(?! (expects?|wants?|asks?|suggests?|recommends?|demands?|requires?|assumes?))|\bpaths?\b|\btopics? (are|is) there\b"
)
_SIGNED = re.compile(r"\b(by|from|writes?|wrote|written|records?|recorded|publish|published|authors?|made|makes?)\b")

_PART_OF_A_WORK = re.compile(
    r"\b(?:parts?|sections?|chapters?|modules?|units?|lessons?|episodes?)(?: \d+)? of (?:the |this )?"
    r"(?!(?:course|book|paper|series|tutorial|videos?|article|documentation|docs|class|playlist|lecture)\b)(?:[^ ]+ ){1,4}"
    r"(?:course|book|paper|series|tutorial|videos?|article|documentation|docs|class|playlist|lecture)\b"
)
"""Part of something else than the roadmap: "the first part of the fast.ai course"."""
# What asks for the matter itself, not for its place in a roadmap.
_ABOUT_THE_MATTER = re.compile(
    r"\bwhy\b"
    r"|\bhow (do|does|did|is|are|was|were|can|could|would|should|will|to|exactly|come)\b"
    r"(?! i (get|prepare|work my way|come|reach)\b)(?! @ (rated|graded|ranked))"
    r"(?! (difficult|hard|advanced|structured|organi[sz]ed|divided)\b)"
    r"|\bhow (fast|large|big|long|often|quickly|far|near|deep|similar|high|low|little|expensive|bad)\b"
    r"|\bwhen (was|did|were|is|does|should)\b"
    r"|\b(define|meaning|means|stands? for|summari[sz]e|introduced|proposed|invented|presented|discovered|link between)\b"
    r"|\b(resources|data|memory|hardware|compute) (is|are) (needed|required)\b"
    r"|\b(differences?|differ|differs|distinction|connection|relationship|similarit(y|ies)|trade ?offs?)\b(?! (in|of) (difficulty|levels?))"
    r"|\bwhat (is|are|was|were) @$"
    r"|\b(can|could) @"
    r"|\b(does|do|did) (\w+ )?@ (\w+ )?(say|show|claim|report|find|state|prove|recommend"
    r"|work|mean|do|use|help|compute|perform|learn|run|get|reach|improve|reduce|save|store)\b"
)

# Kinds that a mere detail of a topic, such as a tool, is not asked about: "what can I do with LangChain" is no matter of the roadmap.
_NEED_A_TOPIC = frozenset({"relation", "compare", "route", "opens", "next", "previous", "concepts", "skills", "difficulty"})

# How many words may be left over in a clause that says it is about the roadmap.
_SPARE = 5

# Kinds that need no name: they ask about the whole roadmap, or bring their own words.
_NEED_NO_NAME = frozenset(
    {"paths", "path property", "count", "no prerequisites", "by level", "entry", "setup", "lab search", "author", "start", "order"}
    | {"starts", "numbered"}
)


@dataclass(frozen=True)
class Ask:
    """One clause about the roadmap: what it asks (``kind``) of what; ``left`` are the words that no rule and no name accounts for."""

    kind: str
    text: str
    mentions: tuple[Mention, ...]
    paths: tuple[Path, ...]
    left: tuple[str, ...]
    tokens: tuple[str, ...]


def recognise(words: Words, context: tuple[Mention, ...] = (), authors: Collection[str] = ()) -> Iterator[Ask]:
    """What a clause may ask, likeliest first.

    ``context`` are the names of the clause before it, for one that says "that" or names nothing; ``authors`` the words of
    authors' names.
    """
    mentions = tuple(mention for mention in words.mentions if not mention.path)
    paths = tuple(mention.path for mention in words.mentions if mention.path) or tuple(each.path for each in context if each.path)
    text = _masked(words)
    if not mentions and not _OF_THE_WHOLE.search(text):
        mentions = tuple(mention for mention in context if not mention.path)
        if mentions:
            text = _POINTER.sub("@", text, count=1)
            text += "" if "@" in text else " @"
    explicit = (
        bool(paths)
        or any(each.noun in ("part", "section") for each in mentions)
        or bool(_OF_THE_ROADMAP.search(text) or _ENTRY.search(" ".join(words.tokens)))
    )
    whole = _spaced(_IN_THE_ROADMAP.sub(" ", text))
    apart = _spaced(_NOUN_AFTER.sub("@", _NOUN_BEFORE.sub("@", _spaced(_IN_A_PATH.sub(" ", whole)))))
    together = _LIST_OF_NAMES.sub("@", apart)
    if _ABOUT_THE_MATTER.search(together) or (not paths and _PART_OF_A_WORK.search(" ".join(words.tokens))):
        return
    left = [word for word in apart.replace("@", " ").split() if word not in KNOWN_WORDS and word not in STOP_WORDS]
    weak = any(each.strength == DETAIL for each in mentions)
    signed = _SIGNED.search(whole)
    for rule in RULES:
        form = apart if rule.most == 2 else together
        names = form.count("@")
        if not rule.fewest <= names <= rule.most or (rule.path and (mentions or not paths)):
            continue
        extra = tuple(word for word in left if not (rule.kind == "setup" and word in SETUP_WORDS))
        strange = [word for word in extra if not (signed and rule.kind in ("author", "readings") and word in authors)]
        accounted = len(strange) <= (_SPARE if explicit else rule.spare) and (
            names or explicit or rule.kind in _NEED_NO_NAME or (extra and not strange)
        )
        if not accounted and rule.kind != "author":
            continue
        said = [" ".join(words.tokens)] if rule.kind in ("entry", "setup") else [whole] if rule.path else [form, whole, text]
        if not any(map(rule.wording.search, said)) or (weak and not explicit and rule.kind in _NEED_A_TOPIC):
            continue
        if accounted:
            yield Ask(rule.kind, form, mentions, paths, extra, tuple(words.tokens))
        if rule.kind == "author":  # nothing else is asked with "who wrote"
            return


def _masked(words: Words) -> str:
    """A clause with marks for its names, without articles and without the talk around a question."""
    pieces: list[str] = []
    at = 0
    for mention in words.mentions:
        pieces += [*words.tokens[at : mention.start], "%" if mention.path else "@"]
        at = mention.end
    pieces += words.tokens[at:]
    return _spaced(_ASKING.sub("", _TALK.sub("", " ".join(each for each in pieces if each not in ("the", "a", "an")))))


def _spaced(text: str) -> str:
    return " ".join(text.split())
