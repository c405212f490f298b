"""Reading, checking and asking the roadmap; the user's own links; topics, paths and parts as documents."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from roadmap_rag.domain import Source
from roadmap_rag.errors import RoadmapError, StorageError, UsageError
from roadmap_rag.roadmap import Roadmap, add_link, as_dict, documents, load_roadmap, remove_link

PROJECT = Path(__file__).parent.parent
SEEDS = PROJECT.parent / "shared" / "seeds"

SMALL = """\
topics:
  - id: mathematics
    title: Mathematics
    part: Fundamentals
    summary: The mathematics that models rest on.
    resources:
      - {title: Vectors, url: "https://example.org/vectors", kind: video, author: Ada, why: Shows what a vector is, paths: [long-way]}
  - id: networks
    title: Neural networks
    also_called: [NN, Perceptrons]
    part: Fundamentals
    difficulty: [beginner, intermediate]
    prerequisites: [mathematics]
    assumes: [Linear algebra at course level]
    summary: Layers of weights that learn from examples.
    concepts:
      - {name: Layers, parts: [weights, biases]}
      - {name: Training}
    skills: {Frameworks: [PyTorch, JAX]}
    labs:
      - {title: A network from scratch, goal: Write one in NumPy, path: long-way}
  - id: transformers
    title: Transformers
    part: Language models
    difficulty: [advanced, advanced]
    prerequisites: [networks]
    summary: Networks that read all tokens at once.
    resources:
      - {title: Vectors, url: "https://example.org/vectors", kind: video, paths: [long-way]}
      - {title: Llama 2, url: "https://example.org/llama", kind: paper, called: Llama 3, provider: arXiv, paths: [long-way]}
paths:
  - id: long-way
    title: The long way
    author: Grace
    url: https://example.org/
    source: seed.txt
    also_called: [LW]
    summary: From the ground up.
    entry_test: [{area: Programming, skill: Python, needs: 4, of: 5}]
    setup: [Python 3.11, Docker]
    resources:
      - {title: Chat, url: "https://example.org/chat", kind: community, paths: [long-way]}
    parts:
      - id: part-1
        number: 1
        title: The ground
        level: Beginner to Intermediate
        focus: Networks
        outcome: A working network
        sections:
          - {number: 1, title: Networks first, level: Intermediate, prerequisites: [Calculus], topics: [mathematics, networks]}
      - id: extra
        title: Extras
        optional: true
        sections:
          - {title: Attention, topics: [transformers]}
"""


@pytest.fixture
def small(tmp_path: Path) -> Roadmap:
    return load_roadmap(written(tmp_path, SMALL))


def written(folder: Path, text: str, name: str = "roadmap.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def fault(folder: Path, text: str) -> str:
    """What the loader says about a file, without the folder."""
    with pytest.raises(RoadmapError) as caught:
        load_roadmap(written(folder, text))
    return str(caught.value).removeprefix(f"{folder}/")


# --------------------------------------------------------------------------------------------------------------------- reading


def test_fields_of_the_file_become_the_records(small: Roadmap) -> None:
    networks = small.topic("networks")
    assert (networks.title, networks.difficulty, networks.prerequisites) == (
        "Neural networks",
        ("beginner", "intermediate"),
        ("mathematics",),
    )
    assert networks.skills == {"Frameworks": ("PyTorch", "JAX")}
    assert [(concept.name, concept.parts) for concept in networks.concepts] == [("Layers", ("weights", "biases")), ("Training", ())]
    assert small.topic("mathematics").difficulty is None
    part = small.path("long-way").parts[0]
    assert (part.number, part.level, part.optional, part.sections[0].topics) == (
        1,
        "Beginner to Intermediate",
        False,
        ("mathematics", "networks"),
    )
    assert small.path("long-way").entry_test[0].needs == 4


def test_json_form_holds_every_field_of_the_file(small: Roadmap) -> None:
    printed = json.loads(json.dumps(as_dict(small)))
    original = yaml.safe_load(SMALL)

    def held(part: object, whole: object) -> bool:
        if isinstance(part, dict):
            return isinstance(whole, dict) and all(key in whole and held(item, whole[key]) for key, item in part.items())
        if isinstance(part, list):
            return isinstance(whole, list) and len(part) == len(whole) and all(map(held, part, whole))
        return part == whole

    assert held(original, printed)
    assert printed["topics"][0]["requires_all"] == []
    assert printed["topics"][0]["opens"] == ["networks"]
    assert printed["topics"][0]["difficulty"] is None
    assert printed["topics"][2]["requires_all"] == ["mathematics", "networks"]


def test_json_form_of_one_topic_and_of_one_path(small: Roadmap) -> None:
    one = as_dict(small, "transformers")
    assert ([topic["id"] for topic in one["topics"]], [path["id"] for path in one["paths"]]) == (["transformers"], ["long-way"])
    path = as_dict(small, "long-way")
    assert [topic["id"] for topic in path["topics"]] == ["mathematics", "networks", "transformers"]
    with pytest.raises(UsageError):
        as_dict(small, "nothing")


TOPIC = "topics:\n  - id: a\n    title: A\n    part: P\n    summary: S\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "roadmap.yaml: the file is empty; it needs the key topics", id="empty"),
        pytest.param(
            "topics:\n  - id: [a\n    title: b\n",
            "roadmap.yaml, line 3: not valid YAML: did not find expected ',' or ']'",
            id="unparsable",
        ),
        pytest.param("topics: []\nx: \x01\n", "roadmap.yaml, line 2: not valid YAML: control characters are not allowed", id="control"),
        pytest.param("- a\n", "roadmap.yaml, line 1: the file must be keys with values, not a list", id="top-level-list"),
        pytest.param("paths: []\n", "roadmap.yaml, line 1: has no topics", id="no-topics"),
        pytest.param("topics: [x]\n", "roadmap.yaml, line 1: topic 1: this entry must be keys with values, not text", id="topic-is-text"),
        pytest.param(
            TOPIC + "    sumary: S\n",
            'roadmap.yaml, line 6: topic "a": unknown key "sumary"; did you mean "summary"?',
            id="unknown-key",
        ),
        pytest.param(TOPIC + "    zzz: S\n", 'roadmap.yaml, line 6: topic "a": unknown key "zzz"', id="unknown-key-unlike-any"),
        pytest.param(TOPIC + "    title: B\n", 'roadmap.yaml, line 6: topic "a": the key "title" stands twice', id="key-twice"),
        pytest.param(
            TOPIC.replace("    summary: S\n", ""),
            'roadmap.yaml, line 2: topic "a": has no summary',
            id="no-summary",
        ),
        pytest.param(TOPIC.replace("summary: S", "summary: ' '"), 'roadmap.yaml, line 2: topic "a": has no summary', id="blank-summary"),
        pytest.param(
            TOPIC.replace("summary: S", "summary:"),
            'roadmap.yaml, line 5: topic "a": summary must be text, not nothing',
            id="null-summary",
        ),
        pytest.param("topics:\n  - title: A\n", "roadmap.yaml, line 2: topic 1: has no id", id="no-id"),
        pytest.param(TOPIC.replace("id: a", "id: [a]"), "roadmap.yaml, line 2: topic 1: id must be text, not a list", id="list-for-id"),
        pytest.param(
            TOPIC.replace("title: A", "title: 2024"),
            'roadmap.yaml, line 3: topic "a": title must be text, not a number; put it in quotes',
            id="number-for-text",
        ),
        pytest.param(
            TOPIC + "    also_called: [x, yes]\n",
            'roadmap.yaml, line 6: topic "a": also_called, item 2 must be text, not true or false; put it in quotes',
            id="yes-for-text",
        ),
        pytest.param(
            TOPIC + "    prerequisites: b\n",
            'roadmap.yaml, line 6: topic "a": prerequisites must be a list, not text',
            id="text-for-list",
        ),
        pytest.param(
            TOPIC + "    skills: [x]\n",
            'roadmap.yaml, line 6: topic "a": skills must be keys with values, not a list',
            id="list-for-mapping",
        ),
        pytest.param(
            TOPIC + "    difficulty: [easy, expert]\n",
            'roadmap.yaml, line 6: topic "a": difficulty, item 1 "easy" is unknown; known are '
            "beginner, intermediate, advanced, expert, research",
            id="unknown-difficulty",
        ),
        pytest.param(
            TOPIC + "    difficulty: [expert]\n",
            'roadmap.yaml, line 6: topic "a": difficulty must be a list of 2, not of 1',
            id="half-a-difficulty",
        ),
        pytest.param(
            TOPIC + TOPIC.removeprefix("topics:\n"),
            'roadmap.yaml, line 6: topic "a": the id "a" is used twice, first in line 2',
            id="topic-id-twice",
        ),
        pytest.param(
            TOPIC + "paths:\n  - id: a\n    title: A\n",
            'roadmap.yaml, line 7: path "a": the id "a" is used twice, first in line 2',
            id="id-of-topic-and-path",
        ),
        pytest.param(
            TOPIC + "paths:\n  - id: p\n    title: A\n    parts:\n      - {id: x, title: X}\n      - {id: x, title: Y}\n",
            'roadmap.yaml, line 11: path "p", part "x": the id "x" is used twice in this path',
            id="part-id-twice",
        ),
        pytest.param(
            TOPIC.replace("id: a", "id: My Topic"),
            'roadmap.yaml, line 2: topic "My Topic": the id "My Topic" must be lower-case words joined by hyphens',
            id="id-with-space",
        ),
        pytest.param(
            TOPIC + "    prerequisites:\n      - aa\n",
            'roadmap.yaml, line 7: topic "a": the prerequisite "aa" is no topic; did you mean "a"?',
            id="unknown-prerequisite",
        ),
        pytest.param(
            TOPIC + "    prerequisites: [a]\n",
            'roadmap.yaml, line 6: topic "a": the prerequisites go in a circle: a → a',
            id="own-prerequisite",
        ),
        pytest.param(
            TOPIC + "    resources:\n      - {title: T, kind: docs, url: 'ftp://example.org'}\n",
            'roadmap.yaml, line 7: topic "a", resource 1: "ftp://example.org" is not an http or https address',
            id="ftp-link",
        ),
        pytest.param(
            TOPIC + "    resources:\n      - title: T\n        kind: docs\n        url: https:/example.org\n",
            'roadmap.yaml, line 9: topic "a", resource 1: "https:/example.org" is not an http or https address',
            id="link-without-host",
        ),
        pytest.param(
            TOPIC + "    resources:\n" + 2 * "      - {title: T, kind: docs, url: 'http://example.org'}\n",
            'roadmap.yaml, line 8: topic "a", resource 2: http://example.org is listed twice',
            id="link-twice",
        ),
        pytest.param(
            TOPIC + "    resources:\n      - {title: T, url: 'http://example.org'}\n",
            'roadmap.yaml, line 7: topic "a", resource 1: has no kind',
            id="resource-without-kind",
        ),
        pytest.param(
            TOPIC + "    resources:\n      - {title: T, kind: docs, url: 'http://example.org', paths: [p]}\n",
            'roadmap.yaml, line 7: topic "a", resource 1: "p" is no path',
            id="resource-of-unknown-path",
        ),
        pytest.param(
            TOPIC + "    labs:\n      - {title: T, goal: G, path: p}\n",
            'roadmap.yaml, line 7: topic "a", lab 1: "p" is no path',
            id="lab-of-unknown-path",
        ),
        pytest.param(
            TOPIC + "paths:\n  - {id: p, title: A, parts: [{id: x, title: X, sections: [{title: Y, topics: [b]}]}]}\n",
            'roadmap.yaml, line 7: path "p", part "x", section 1: "b" is no topic',
            id="section-of-unknown-topic",
        ),
        pytest.param(
            TOPIC + "paths:\n  - {id: p, title: A, url: example.org}\n",
            'roadmap.yaml, line 7: path "p": "example.org" is not an http or https address',
            id="path-address",
        ),
        pytest.param(
            TOPIC + "paths:\n  - {id: p, title: A, entry_test: [{area: X, skill: Y, needs: three, of: 5}]}\n",
            'roadmap.yaml, line 7: path "p", entry test 1: needs must be a whole number, not text',
            id="text-for-number",
        ),
    ],
)
def test_a_faulty_file_is_named_with_line_entry_and_fault(tmp_path: Path, text: str, message: str) -> None:
    assert fault(tmp_path, text) == message


def topics_with(prerequisites: dict[str, list[str]]) -> str:
    entries = [{"id": name, "title": name, "part": "P", "summary": "S", "prerequisites": needs} for name, needs in prerequisites.items()]
    return yaml.safe_dump({"topics": entries}, sort_keys=False)


def test_a_circle_of_prerequisites_is_shown(tmp_path: Path) -> None:
    message = fault(tmp_path, topics_with({"a": [], "b": ["a", "d"], "c": ["b"], "d": ["c"]}))
    assert message == 'roadmap.yaml, line 13: topic "b": the prerequisites go in a circle: b → d → c → b'


def test_a_prerequisite_after_its_topic_is_refused(tmp_path: Path) -> None:
    message = fault(tmp_path, topics_with({"a": ["b"], "b": []}))
    assert message == 'roadmap.yaml, line 7: topic "a": the prerequisite "b" stands after this topic; it has to come before'


def test_a_missing_file_and_a_file_in_another_encoding(tmp_path: Path) -> None:
    with pytest.raises(RoadmapError) as caught:
        load_roadmap(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path}/none.yaml: cannot be read: No such file or directory"
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("topics: []\n# café\n".encode("latin-1"))
    with pytest.raises(RoadmapError) as caught:
        load_roadmap(latin)
    assert str(caught.value) == f"{latin}, line 2: not valid UTF-8"


# ----------------------------------------------------------------------------------------------------------------------- graph

NAMES = [f"t{number}" for number in range(7)]
GRAPHS = st.fixed_dictionaries({name: st.lists(st.sampled_from(NAMES), unique=True, max_size=3) for name in NAMES})


@given(graph=GRAPHS)
@settings(deadline=None)
def test_a_roadmap_loads_exactly_when_every_prerequisite_precedes_its_topic(
    tmp_path_factory: pytest.TempPathFactory, graph: dict[str, list[str]]
) -> None:
    path = written(tmp_path_factory.mktemp("graph"), topics_with(graph))
    order = list(graph)
    in_order = all(order.index(needed) < order.index(name) for name, needs in graph.items() for needed in needs)
    if not in_order:
        with pytest.raises(RoadmapError):
            load_roadmap(path)
        return
    check_laws(load_roadmap(path))


def check_laws(roadmap: Roadmap) -> None:
    """What holds for the graph of every roadmap."""
    order = [topic.id for topic in roadmap.topics]
    for topic in roadmap.topics:
        every = roadmap.requires_all(topic.id)
        assert list(every) == sorted(every, key=order.index)
        assert all(order.index(needed) < order.index(topic.id) for needed in every)
        assert set(every) == {*topic.prerequisites, *(far for near in topic.prerequisites for far in roadmap.requires_all(near))}
        assert roadmap.requires(topic.id) == topic.prerequisites
        assert set(roadmap.opens(topic.id)) == {each.id for each in roadmap.topics if topic.id in roadmap.requires(each.id)}


@given(graph=GRAPHS.map(lambda graph: {name: [need for need in graph[name] if need < name] for name in NAMES}))
@settings(deadline=None)
def test_what_comes_before_a_topic_is_closed_and_in_order(tmp_path_factory: pytest.TempPathFactory, graph: dict[str, list[str]]) -> None:
    check_laws(load_roadmap(written(tmp_path_factory.mktemp("graph"), topics_with(graph))))


def test_sources_hold_each_link_once_with_all_its_topics(small: Roadmap) -> None:
    assert small.sources() == (
        Source("https://example.org/vectors", "Vectors", "video", ("mathematics", "transformers")),
        Source("https://example.org/llama", "Llama 2", "paper", ("transformers",)),
        Source("https://example.org/chat", "Chat", "community", ()),
    )


def test_an_unknown_id_is_answered_with_the_nearest(small: Roadmap) -> None:
    with pytest.raises(UsageError) as caught:
        small.topic("transformer")
    assert str(caught.value) == 'there is no topic "transformer": did you mean transformers? `roadmap-rag topics` lists them all'
    with pytest.raises(UsageError) as caught:
        small.path("x")
    assert str(caught.value) == 'there is no path "x": `roadmap-rag topics` lists them all'


# ------------------------------------------------------------------------------------------------------------------- own links


def test_a_link_is_added_kept_and_removed(tmp_path: Path) -> None:
    path, links = written(tmp_path, SMALL), tmp_path / "home" / "corpus" / "links.yaml"
    roadmap = load_roadmap(path, links)
    add_link(links, roadmap, "https://example.com/mine?a=1&b=2", "networks")
    add_link(links, load_roadmap(path, links), "https://example.org/vectors", "networks")
    roadmap = load_roadmap(path, links)
    assert [(each.url, each.kind, each.why) for each in roadmap.topic("networks").resources] == [
        ("https://example.com/mine?a=1&b=2", "link", ""),
        ("https://example.org/vectors", "link", ""),
    ]
    assert roadmap.own_links == {"networks": ("https://example.com/mine?a=1&b=2", "https://example.org/vectors")}
    assert roadmap.sources()[0] == Source("https://example.org/vectors", "Vectors", "video", ("mathematics", "networks", "transformers"))
    assert roadmap.sources()[1].topics == ("networks",)

    assert remove_link(links, "https://example.com/mine?a=1&b=2") == ("networks",)
    assert remove_link(links, "https://example.org/vectors") == ("networks",)
    assert load_roadmap(path, links) == load_roadmap(path)
    assert [each.name for each in links.parent.iterdir()] == ["links.yaml"]


def test_an_own_link_under_an_earlier_topic_takes_title_and_kind_of_the_roadmap(tmp_path: Path) -> None:
    path, links = written(tmp_path, SMALL), written(tmp_path, "networks: ['https://example.org/llama']\n", "links.yaml")
    source = next(source for source in load_roadmap(path, links).sources() if source.url.endswith("llama"))
    assert source == Source("https://example.org/llama", "Llama 2", "paper", ("networks", "transformers"))


def test_a_link_that_the_roadmap_has_come_to_hold_itself_is_no_fault(tmp_path: Path) -> None:
    path, links = written(tmp_path, SMALL), written(tmp_path, "transformers: ['https://example.org/llama']\n", "links.yaml")
    assert load_roadmap(path, links).topics == load_roadmap(path).topics


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("networks: [x]\n", 'line 1: topic "networks": "x" is not an http or https address', id="no-link"),
        pytest.param(
            "networks:\n  - http://a.org\n  - http://a.org\n", 'line 3: topic "networks": http://a.org is listed twice', id="twice"
        ),
        pytest.param("network: []\n", 'line 1: "network" is no topic of the roadmap; did you mean "networks"?', id="no-topic"),
        pytest.param("networks: http://a.org\n", "line 1: networks must be a list, not text", id="no-list"),
    ],
)
def test_faults_in_the_own_links_are_named_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    links = written(tmp_path, text, "links.yaml")
    with pytest.raises(RoadmapError) as caught:
        load_roadmap(written(tmp_path, SMALL), links)
    assert str(caught.value) == f"{links}, {message}"


@pytest.mark.parametrize("url", ["ftp://example.org/x", "example.org", "https://", "http://[::1", "https://example.org/a b", "", "-"])
def test_what_is_no_web_address_is_not_added(small: Roadmap, tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError) as caught:
        add_link(tmp_path / "links.yaml", small, url, "networks")
    assert str(caught.value) == f'"{url}" is not an http or https address'
    assert not (tmp_path / "links.yaml").exists()


def test_a_link_is_refused_twice_under_an_unknown_topic_and_when_it_is_not_there(small: Roadmap, tmp_path: Path) -> None:
    links = tmp_path / "links.yaml"
    with pytest.raises(RoadmapError) as caught:
        add_link(links, small, "https://example.org/llama", "transformers")
    assert str(caught.value) == (
        "https://example.org/llama is among the links of transformers already: "
        "`roadmap-rag ingest --source https://example.org/llama` fetches it"
    )
    with pytest.raises(UsageError):
        add_link(links, small, "https://example.org/new", "nothing")
    add_link(links, small, "https://example.org/new", "networks")
    with pytest.raises(RoadmapError):
        add_link(links, small, "https://example.org/new", "networks")
    with pytest.raises(RoadmapError) as caught:
        remove_link(links, "https://example.org/llama")
    assert str(caught.value) == (
        f"https://example.org/llama is none of your own links in {links}: only those that `roadmap-rag add` put there can be removed"
    )


def test_a_link_of_a_topic_that_has_gone_can_still_be_removed(tmp_path: Path) -> None:
    links = written(tmp_path, "gone: [http://a.org]\nnetworks: [http://a.org, http://b.org]\n", "links.yaml")
    assert remove_link(links, "http://a.org") == ("gone", "networks")
    assert load_roadmap(written(tmp_path, SMALL), links).own_links == {"networks": ("http://b.org",)}


def test_a_folder_that_cannot_be_written_is_named(small: Roadmap, tmp_path: Path) -> None:
    occupied = written(tmp_path, "a file", "corpus")
    with pytest.raises(StorageError) as caught:
        add_link(occupied / "links.yaml", small, "https://example.org/new", "networks")
    assert str(caught.value) == f"{occupied}: cannot write links.yaml: File exists"


# ------------------------------------------------------------------------------------------------------------------- documents


def test_there_is_a_document_for_each_topic_path_and_part(small: Roadmap) -> None:
    found = documents(small)
    assert [document.url for document in found] == [
        "roadmap:mathematics",
        "roadmap:networks",
        "roadmap:transformers",
        "roadmap:long-way",
        "roadmap:long-way/part-1",
        "roadmap:long-way/extra",
    ]
    assert {document.kind for document in found} == {"roadmap"}
    for document in found:
        for word in ("Part", "Difficulty", "Prerequisites", "Labs", "Readings"):
            assert re.search(rf"\b{word}\b", document.text), (document.url, word)


def test_the_document_of_a_topic_says_all_of_it_in_sentences_of_their_own(small: Roadmap) -> None:
    assert documents(small)[1].title == "Roadmap: Neural networks"
    assert (
        documents(small)[1].text
        == """\
# Neural networks

Layers of weights that learn from examples.

Neural networks is also called NN and Perceptrons.

## Part and order

Part: Neural networks belongs to the part Fundamentals of the roadmap, as topic 2 of 2 in that part.

Order: Neural networks is topic 2 of 3 in the roadmap; it comes after Mathematics and before Transformers.

## Difficulty and level

Difficulty of Neural networks: beginner to intermediate.

## Prerequisites and what it opens up

Prerequisites of Neural networks: Mathematics.

Neural networks also assumes, in the words of the learning paths: Linear algebra at course level.

Neural networks opens up Transformers.

## Concepts

Concepts of Neural networks: Layers and Training.

- Layers: weights and biases.

## Skills

Skills and tools for Neural networks, Frameworks: PyTorch and JAX.

## Labs

Labs for Neural networks: A network from scratch.

- Lab “A network from scratch”, from The long way: Write one in NumPy.

## Readings and resources

Readings for Neural networks: none; the roadmap has no links for it.

## In the learning paths

In the path The long way, Neural networks stands in part 1 (The ground), section 1 (Networks first), with difficulty Intermediate and \
prerequisites Calculus.
"""
    )


def test_the_document_of_a_path_and_of_a_part(small: Roadmap) -> None:
    texts = {document.url: document.text for document in documents(small)}
    for sentence in (
        "The path The long way has 2 parts, in this order: part 1 (The ground) and the part “Extras”.",
        "Topics of part 1 (The ground) of The long way, in its order: Mathematics and Neural networks.",
        "Difficulty of part 1 (The ground) of The long way: Beginner to Intermediate.",
        "Prerequisites of the path The long way, from its entry test: Python (Programming) at 4 of 5.",
        "Set-up for the path The long way: Python 3.11 and Docker.",
        "Labs of the path The long way: 1 lab, listed part by part.",
        "Readings for the path The long way: 3 links, listed part by part.",
    ):
        assert sentence in texts["roadmap:long-way"]
    for sentence in (
        "Part 1 (The ground) of The long way is part 1 of 2 of that path; it comes first, before the part “Extras”.",
        "Outcome of part 1 (The ground) of The long way: A working network.",
        "- Topics of section 1 (Networks first): Mathematics and Neural networks.",
        "Difficulty of section 1 (Networks first): Intermediate.",
        "Prerequisites of section 1 (Networks first): Calculus.",
        "Labs of section 1 (Networks first): A network from scratch.",
    ):
        assert sentence in texts["roadmap:long-way/part-1"]
    assert "The part “Extras” of The long way is optional." in texts["roadmap:long-way/extra"]
    assert "Readings for the topics of the section “Attention”: “Vectors” (video) and “Llama 2” (paper)." in texts["roadmap:long-way/extra"]
    assert "- Community “Chat”: https://example.org/chat" in texts["roadmap:long-way"]
    assert "linked as “Llama 3”" in texts["roadmap:transformers"]
    assert "Everything to study before Transformers, in order: Mathematics and Neural networks." in texts["roadmap:transformers"]


# ------------------------------------------------------------------------------------------------------------- the real roadmap


@pytest.fixture(scope="module")
def real() -> Roadmap:
    return load_roadmap(PROJECT / "corpus" / "roadmap.yaml")


def test_every_prerequisite_of_the_real_roadmap_precedes_its_topic(real: Roadmap) -> None:
    assert real.topics
    check_laws(real)


def test_the_documents_of_the_real_roadmap_have_addresses_of_their_own(real: Roadmap) -> None:
    found = documents(real)
    parts = sum(len(path.parts) for path in real.paths)
    assert len({document.url for document in found}) == len(found) == len(real.topics) + len(real.paths) + parts


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the seed documents (../shared/seeds) are not here")
def test_every_link_of_the_seeds_is_a_resource_but_the_images(real: Roadmap) -> None:
    texts = [path.read_text(encoding="utf-8") for path in sorted(SEEDS.glob("*.txt"))]
    found = {address for text in texts for address in re.findall(r"https?://[^\s<>\"')|]+", text)}
    images = {address for text in texts for address in re.findall(r'!\[[^\]]*\]\((\S+?)\)|<img src="([^"]+)"', text) for address in address}
    images.discard("")
    assert (len(found), len(images)) == (226, 24)
    assert {source.url for source in real.sources()} == found - images


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the seed documents (../shared/seeds) are not here")
def test_each_section_of_the_long_path_has_the_labs_level_and_prerequisites_of_its_document(real: Roadmap) -> None:
    path = real.path("zero-to-hero")
    chapters = re.split(r"^## (?=\d+\. )", (SEEDS / path.source).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    sections = [section for part in path.parts for section in part.sections]
    texts = "\n".join(document.text for document in documents(real))
    assert len(chapters) == len(sections) == 22
    for chapter, section in zip(chapters, sections, strict=True):
        number, title = re.match(r"(\d+)\. (.*)", chapter).groups()  # type: ignore[union-attr]
        level, prerequisites = re.search(r"Difficulty:\*\* (.*?) \|.*Prerequisites:\*\* (.*)", chapter).groups()  # type: ignore[union-attr]
        assert (section.number, section.title, section.level) == (int(number), title.strip(), level)
        assert ", ".join(section.prerequisites) == prerequisites.strip()
        held = {lab.title for topic in section.topics for lab in real.topic(topic).labs if lab.path == path.id}
        assert held == set(re.findall(r"^\*\*\d+\. (.*?)\*\*$", chapter, flags=re.MULTILINE)), title
        assert f"Labs of section {number} ({title.strip()}): " in texts


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the seed documents (../shared/seeds) are not here")
def test_every_seed_is_a_path(real: Roadmap) -> None:
    assert sorted(path.source for path in real.paths) == sorted(path.name for path in SEEDS.glob("*.txt"))
