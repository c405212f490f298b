"""Questions about the roadmap: recognised in many wordings, answered exactly, each sentence with the stored lines that state it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from roadmap_rag.roadmap import Roadmap, RoadmapAnswer, answer_from_roadmap, documents, load_roadmap

PROJECT = Path(__file__).parent.parent
GOLDEN = PROJECT / "eval" / "golden"

ROADMAP = load_roadmap(PROJECT / "corpus" / "roadmap.yaml")
TEXTS = {document.url: document.text for document in documents(ROADMAP)}

LONG, TOOLING, BLOG, SHORT = (ROADMAP.path(each) for each in ("zero-to-hero", "tooling-roadmap", "top-resources-2025", "short-table"))


def answered(question: str) -> RoadmapAnswer:
    answer = answer_from_roadmap(question, ROADMAP, TEXTS)
    assert answer is not None, question
    return answer


def text_of(answer: RoadmapAnswer) -> str:
    return "\n".join(sentence.text for sentence in answer.sentences)


def title(topic: str) -> str:
    return ROADMAP.topic(topic).title


def items(text: str) -> list[str]:
    """The entries of a listing "A, B and C" or "A; B; and C" after its colon or verb."""
    return [each.strip() for each in re.split(r"; and |; | and (?=[A-Z])|, (?=[A-Z])", text.rstrip(".")) if each.strip()]


def titles(topics: Iterable[str]) -> list[str]:
    """The words of topic titles, cut as ``items`` cuts them."""
    return [piece for topic in topics for piece in items(title(topic))]


# -------------------------------------------------------------------------------------------------------------- by kind of question

# Direct prerequisites: the question and the topic.
PREREQUISITES = [
    ("What do I need to know before RLHF?", "rlhf"),
    ("what do i need before rlhf", "rlhf"),
    ("pls tell me the prereqs for rag", "retrieval-augmented-generation"),
    ("RAG prerequisites?", "retrieval-augmented-generation"),
    ("Could you please tell me what I should learn before quantization?", "quantization"),
    ("Which topics must I master before tackling speculative decoding?", "speculative-decoding"),
    ("preqrequisites for quantizaton", "quantization"),
    ("prerequsites of embedings", "embeddings"),
    ("what do i hav to lern befor agents", "ai-agents"),
    ("what are the requirements for llmops", "llmops"),
    ("prereqs SFT", "supervised-fine-tuning"),
    ("tell me the prerequisites of vLLM, please", "paged-attention-and-vllm"),
    ("what does graph RAG build on?", "graph-rag"),
    ("Name the direct prerequisites of context window extension.", "context-window-extension"),
    ("what's a prerequisite for knowledge distillation?", "knowledge-distillation"),
    ("Is it OK to start with RLHF straight away?", "rlhf"),
    ("Before I dive into multimodal models, what should be in place?", "multimodal-llms"),
    ("Good morning! Which knowledge should I bring along for preference alignment?", "preference-alignment"),
    ("I'm about to start with model merging. What does the roadmap expect me to know?", "model-merging"),
    ("how many prerequisites does LLM as judge have", "llm-as-judge"),
    ("What has to be learned before merging models?", "model-merging"),
    ("Which topics are required for RAG?", "retrieval-augmented-generation"),
    ("Which topics are prerequisites for DPO?", "direct-preference-optimization"),
    ("Which topics does the roadmap require for agents?", "ai-agents"),
    ("Which topics do I need under my belt for MoE?", "mixture-of-experts"),
    ("prereq: DPO", "direct-preference-optimization"),
]

# Everything on the way.
EVERYTHING = [
    ("everything I need before agentic rag", "agentic-rag"),
    ("prerequisites of the prerequisites of DPO", "direct-preference-optimization"),
    ("List everything that has to come before flash attention.", "flash-attention"),
    ("Starting from scratch, what do I need to learn to get to agentic RAG?", "agentic-rag"),
    ("which topics lie on the way to LLMOps?", "llmops"),
    ("the full chain of prerequisites for GraphRAG", "graph-rag"),
    ("all direct and indirect prerequisites of red teaming", "red-teaming-and-defences"),
]

OPENS = [
    ("what does tokenization open up", "tokenization"),
    ("what can I do after embeddings", "embeddings"),
    ("What can I learn once I know prompt engineering?", "prompt-engineering"),
    ("I'd like to know which topics depend on supervised fine-tuning", "supervised-fine-tuning"),
    ("what depends on SFT?", "supervised-fine-tuning"),
    ("Which topics require embeddings?", "embeddings"),
    ("what builds on embeddings?", "embeddings"),
    ("Where does chunking lead?", "text-splitting"),
    ("For which topics is prompt engineering a prerequisite?", "prompt-engineering"),
    ("Can I skip tokenization?", "tokenization"),
    ("Which topics have RAG as a prerequisite?", "retrieval-augmented-generation"),
    ("which other topics rely on embeddings", "embeddings"),
]

NEXT = [
    ("what comes after attention", "attention-mechanisms"),
    ("what comes after attention mechanisms in the roadmap?", "attention-mechanisms"),
    ("what should I learn next after prompt engineering", "prompt-engineering"),
    ("I've finished tokenization. What's next?", "tokenization"),
    ("I just completed supervised fine tuning - what now?", "supervised-fine-tuning"),
    ("which topic comes right after embeddings?", "embeddings"),
    ("What would be a sensible next topic after RAG?", "retrieval-augmented-generation"),
    ("after DPO?", "direct-preference-optimization"),
    ("I am through with embeddings, where to go from here?", "embeddings"),
    ("DPO next", "direct-preference-optimization"),
    ("next topic after vector databases", "vector-databases"),
]

PREVIOUS = [
    ("what precedes the transformer architecture", "transformer-architecture"),
    ("what comes before RAG?", "retrieval-augmented-generation"),
    ("What's the topic right before reasoning?", "reasoning"),
    ("Which topic precedes MoE?", "mixture-of-experts"),
    ("Which topic do I need right before RLHF?", "rlhf"),
    ("Which topic comes before LLMOps?", "llmops"),
]

DIFFICULTY = [
    ("is RAG advanced?", "retrieval-augmented-generation"),
    ("Is tokenization a beginner topic?", "tokenization"),
    ("how hard is quantization", "quantization"),
    ("How hard is quantisation?", "quantization"),
    ("difficulty of DPO", "direct-preference-optimization"),
    ("what level is PEFT", "parameter-efficient-fine-tuning"),
    ("MoE level", "mixture-of-experts"),
    ("How tough is mixture of experts?", "mixture-of-experts"),
    ("Is pre-training suitable for beginners?", "pre-training"),
    ("Which difficulty does the roadmap give to LLM APIs?", "llm-apis"),
    ("how is RLHF rated", "rlhf"),
    ("how advanced is interpretability?", "interpretability"),
]

# Links: the question, the topic, and the kinds asked for.
READINGS = [
    ("which resources are there on LoRA", "parameter-efficient-fine-tuning", ()),
    ("Which articles are there on LoRA?", "parameter-efficient-fine-tuning", ("article",)),
    ("any videos about neural networks?", "neural-networks", ("video",)),
    ("give me links for vector databases", "vector-databases", ()),
    ("Links: vector databases", "vector-databases", ()),
    ("show me papers on DPO", "direct-preference-optimization", ("paper",)),
    ("what should I read about speculative decoding?", "speculative-decoding", ()),
    ("list the courses on python", "python-for-machine-learning", ("course",)),
    ("resources RLHF", "rlhf", ()),
    ("number of resources for quantization", "quantization", ()),
    ("Which papers are linked for PEFT?", "parameter-efficient-fine-tuning", ("paper",)),
    ("are there any books on mathematics?", "mathematics-for-machine-learning", ("book",)),
    ("which repositories are there for running LLMs", "running-llms", ("repository",)),
    ("which github repos are linked under deploying LLMs?", "deploying-llms", ("repository",)),
    ("Do you have any good papers about LoRA?", "parameter-efficient-fine-tuning", ("paper",)),
    ("where do I find material on evaluation harnesses?", "benchmarks", ()),
    ("Recommend me something to read about flash attention.", "flash-attention", ()),
    ("I need reading material about merging models.", "model-merging", ()),
    ("What's the recommended literature on interpretability?", "interpretability", ()),
    ("Sources on abliteration?", "interpretability", ()),
]

LABS = [
    ("labs for reasoning", "reasoning"),
    ("How many labs are there on embeddings?", "embeddings"),
    ("Which hands-on projects exist for multimodal LLMs?", "multimodal-llms"),
    ("what can i practise on for RAG?", "retrieval-augmented-generation"),
    ("hands-on work for tokenizers?", "tokenization"),
    ("Which labs are there for quantisation?", "quantization"),
    ("projects on multimodal LLMs", "multimodal-llms"),
]

# Which of two comes first, and whether the later one needs the earlier: the question, the earlier, the later, what the answer says.
RELATIONS = [
    ("is attention before the transformer architecture?", "attention-mechanisms", "transformer-architecture", "is a direct prerequisite"),
    ("Is RAG before agents?", "retrieval-augmented-generation", "ai-agents", "is no prerequisite"),
    ("do I need embeddings for RAG?", "embeddings", "retrieval-augmented-generation", "is a direct prerequisite"),
    ("Should I learn quantization or fine-tuning first?", "supervised-fine-tuning", "quantization", "is no prerequisite"),
    ("Does RLHF require reinforcement learning basics?", "reinforcement-learning-basics", "rlhf", "is an indirect prerequisite"),
    ("Can I study agents before function calling?", "function-calling", "ai-agents", "is a direct prerequisite"),
    ("Which comes first, tokenization or embeddings?", "tokenization", "embeddings", "is no prerequisite"),
    ("Is it necessary to know tokenization for chat templates?", "tokenization", "chat-templates", "is a direct prerequisite"),
    ("Do I have to know RL before DPO?", "reinforcement-learning-basics", "direct-preference-optimization", "is an indirect prerequisite"),
]

# Everything else: the question and what the answer has to hold.
OTHERS: list[tuple[str, list[str]]] = [
    ("What is the difference in difficulty between RAG and tokenization?", ["advanced", "beginner", "is rated harder than Tokenization"]),
    ("Which is harder, DPO or quantization?", ["expert", "intermediate", "Direct preference optimization is rated harder"]),
    ("Is quantization easier than MoE?", ["Mixture of experts is rated harder than Quantization"]),
    ("Are RAG and agents equally difficult?", ["have the same difficulty"]),
    ("how do I get from python to rag", ["Tokenization", "Embeddings", "Vector databases", "Prompt engineering"]),
    ("What stands between me and RAG if I only know Python?", ["From Python for machine learning to Retrieval-augmented generation"]),
    ("what's needed for SFT and DPO", ["Pre-training language models and Post-training datasets", "Preference alignment"]),
    ("what would I have to study before fine-tuning with LoRA?", ["Pre-training language models", "Supervised fine-tuning"]),
    ("How hard is DPO, and what do I need first?", ["expert", "Preference alignment"]),
    ("What are the prerequisites of RAG and which labs are there?", ["Vector databases", "Production-Ready Enterprise RAG System"]),
    ("first lab on tokenization", ["BPE Tokenizer from Scratch"]),
    ("which lab uses LoRA?", ["Parameter-Efficient Fine-Tuning with LoRA and QLoRA"]),
    ("Is there a lab about GraphRAG?", ["Graph RAG for Complex Knowledge Queries"]),
    ("what labs are in part 3", ["Comprehensive Quantization Toolkit", "Continual Learning and Self-Improvement"]),
    ("third lab of the embeddings section", ["Lab 3", "Multimodal Product Search System"]),
    ("Which labs belong to section 12?", ["Process-Level Reward Models and Step-RLHF", "Section 12 (Reasoning), 4 labs"]),
    ("are there labs in the short table?", ["LLM Roadmap has no labs."]),
    ("what labs does the zero to hero path have", ["88 labs", "section 22", "Multi-Cloud Cost Optimization System"]),
    ("what is in the scientist track", ["8 sections", *(section.title for section in BLOG.parts[1].sections)]),
    ("what does the engineer track cover", ["7 sections", *(section.title for section in BLOG.parts[2].sections)]),
    ("what order does the scientist track have", [section.title for section in BLOG.parts[1].sections]),
    ("show me the engineer track", [section.title for section in BLOG.parts[2].sections]),
    ("What topics does the fundamentals track contain?", [title(each) for section in BLOG.parts[0].sections for each in section.topics]),
    ("list the parts of zero to hero", ["4 parts", *(part.title for part in LONG.parts)]),
    ("how many parts does the zero to hero path have", ["4 parts"]),
    ("What are the four parts of the long path?", [part.title for part in LONG.parts]),
    ("which topics are in part 2", [title(each) for section in LONG.parts[1].sections for each in section.topics]),
    ("which sections are in part 2 of zero to hero", [section.title for section in LONG.parts[1].sections]),
    ("What are the sections of part one?", [LONG.title, *(section.title for section in LONG.parts[0].sections)]),
    ("how many sections does part 1 have", ["5 sections"]),
    ("how many sections are in the zero to hero path", ["22 sections"]),
    ("topics of section 18", [title(each) for each in LONG.parts[3].sections[1].topics]),
    ("what is section 13 about", [title(each) for each in LONG.parts[2].sections[2].topics]),
    ("What is in the short table?", [part.title for part in SHORT.parts]),
    ("what topics are in the LLM fundamentals of the short table?", [section.title for section in SHORT.parts[2].sections]),
    ("What does the short table list under Quantization?", ["Quantization", "GGUF and llama.cpp", "Advanced quantization methods"]),
    ("what is covered in the alignment part of the tooling roadmap", [section.title for section in TOOLING.parts[0].sections]),
    ("In which order should I study the topics?", ["80 topics", *(topic.title for topic in ROADMAP.topics)]),
    ("list all topics", [topic.title for topic in ROADMAP.topics]),
    ("how many topics are there in the roadmap?", [f"{len(ROADMAP.topics)} topics"]),
    ("Which topics are in the part Applications?", [topic.title for topic in ROADMAP.topics if topic.part == "Applications"]),
    ("where does quantization stand in the short table", ["LLM Scientist", "Quantization"]),
    ("where is RAG in the zero to hero path?", ["part 4", "section 18"]),
    ("In which part of the roadmap is flash attention?", ["Deployment and production"]),
    ("which section covers mixture of experts", ["section 15"]),
    ("which paths cover interpretability", [BLOG.title]),
    ("is interpretability in the zero to hero path?", ["does not have Interpretability among its topics"]),
    ("where does LoRA belong?", ["concept of Parameter-efficient fine-tuning", "section 9"]),
    ("under which topic do I find HyDE?", ["Advanced RAG"]),
    ("KV cache: where does it stand?", ["section 5", "section 14"]),
    ("entry test", [f"{each.skill} ({each.area}): {each.needs} of {each.of}" for each in LONG.entry_test]),
    ("what does the entry test ask for?", [each.skill for each in LONG.entry_test]),
    ("how good must my Python be", ["Python (Programming & Development): 4 of 5"]),
    ("How much SQL do I need to know?", ["SQL & Databases (Programming & Development): 2 of 5"]),
    ("How good at linear algebra do I have to be?", ["Linear Algebra (Mathematics & Statistics): 3 of 5"]),
    ("what GPU do I need", ["RTX 3080+"]),
    ("what set-up do I need", list(LONG.setup)),
    ("Which software do I have to install before I start?", list(LONG.setup)),
    ("what python version is required", ["Python 3.9+"]),
    ("do i need docker", ["Docker for containerization"]),
    ("which topics are for beginners", [topic.title for topic in ROADMAP.topics if topic.difficulty and topic.difficulty[0] == "beginner"]),
    ("which topics are rated expert", [topic.title for topic in ROADMAP.topics if topic.difficulty and "expert" in topic.difficulty]),
    ("show all intermediate topics", [each.title for each in ROADMAP.topics if each.difficulty and "intermediate" in each.difficulty]),
    ("what is the hardest topic", ["Pre-training language models", "expert"]),
    ("anything for beginners?", ["Tokenization"]),
    ("how many topics are beginner level?", ["3 topics"]),
    ("which topics have no prerequisites", [topic.title for topic in ROADMAP.topics if not topic.prerequisites]),
    ("Which topics can I study right away?", [topic.title for topic in ROADMAP.topics if not topic.prerequisites]),
    ("which path starts with maths", [BLOG.title]),
    ("which roadmap starts with engineering?", ["LLM Roadmap starts with the part “LLM Engineering”"]),
    ("which learning paths are there", [path.title for path in ROADMAP.paths]),
    ("how many paths are there?", ["5 learning paths"]),
    ("who wrote the tooling roadmap", ["was written by Perplexity"]),
    ("Who is the author of the zero to hero path?", ["names no author"]),
    ("which path is by Perplexity?", [TOOLING.title]),
    ("what's the address of the blog path?", [BLOG.url]),
    ("Who made the video about the GPT tokenizer?", ["Andrej Karpathy"]),
    ("What has Andrej Karpathy made?", ["Let's build GPT", "Let's build the GPT Tokenizer"]),
    ("articles by Maxime Labonne", ["Uncensor any LLM with abliteration", "Merge Large Language Models with MergeKit"]),
    ("Which paper by Edward Hu is listed?", ["LoRA: Low-Rank Adaptation of Large Language Models", "https://arxiv.org/abs/2106.09685"]),
    ("tools for agents", ["LangGraph", "AutoGen", "CrewAI"]),
    ("which libraries are used for tokenization?", ["SentencePiece", "tiktoken"]),
    ("what skills do I need for RAG", ["LlamaIndex", "Pinecone"]),
    ("concepts under quantization", [concept.name for concept in ROADMAP.topic("quantization").concepts]),
    ("Key concepts of reasoning?", [concept.name for concept in ROADMAP.topic("reasoning").concepts]),
    ("What will I learn in the topic evaluation?", [concept.name for concept in ROADMAP.topic("model-evaluation").concepts]),
    ("what is the focus of part 3", [LONG.parts[2].focus]),
    ("What's the outcome of part 2?", [LONG.parts[1].outcome]),
    ("what will I be able to do after part 1?", [LONG.parts[0].outcome]),
    ("what is the level of part 4", ["Intermediate to Advanced"]),
    ("level of section 10", ["Expert"]),
    ("What are the prerequisites of part 2?", ["Python and SQL", "Reinforcement learning basics"]),
    ("prerequisites of section 20 of zero to hero", ["Computer vision and audio processing"]),
    ("what comes after part 2", ["part 3 (Advanced Topics & Specialization) comes after part 2"]),
    ("which chapter comes after quantization in zero to hero", ["section 14 (Inference Optimization) comes after section 13"]),
    ("Which section is before reasoning in the zero to hero path?", ["section 11 (Model Evaluation) comes before section 12"]),
    ("what section comes after section 16?", ["section 17 (Running LLMs & Building Applications) comes after section 16", "in part 4"]),
    ("which part is optional in the 2025 list", ["part 1 (LLM Fundamentals)"]),
    ("Is the fundamentals segment optional?", ["is optional"]),
    ("what is the zero to hero path about", ["22 numbered sections"]),
    ("Where should I start?", ["Entry skills and working environment is the first topic"]),
    ("what is the last topic", ["Curated lists and reference sources is the last topic"]),
    ("Which topic is number 10?", ["Embeddings is topic 10 of 80"]),
    ("Which books and links does the topic LoRA have?", ["https://arxiv.org/abs/2106.09685"]),
]


@pytest.mark.parametrize(("question", "topic"), PREREQUISITES, ids=[question for question, _ in PREREQUISITES])
def test_direct_prerequisites(question: str, topic: str) -> None:
    answer = answered(question)
    first = answer.sentences[0].text
    assert re.match(rf"Direct prerequisites? of {re.escape(title(topic))}: ", first)
    assert items(first.split(": ", 1)[1]) == titles(ROADMAP.requires(topic))
    assert answer.topics == (topic,)
    assumed = ROADMAP.topic(topic).assumes
    assert len(answer.sentences) == 1 + bool(assumed and "direct" not in question)
    assert all(each in text_of(answer) for each in assumed if "direct" not in question)


@pytest.mark.parametrize(("question", "topic"), EVERYTHING, ids=[question for question, _ in EVERYTHING])
def test_everything_on_the_way(question: str, topic: str) -> None:
    [sentence] = [each.text for each in answered(question).sentences if each.text.startswith("Everything")]
    assert items(sentence.split("in order: ", 1)[1]) == titles(ROADMAP.requires_all(topic))


@pytest.mark.parametrize(("question", "topic"), OPENS, ids=[question for question, _ in OPENS])
def test_what_a_topic_opens_up(question: str, topic: str) -> None:
    [sentence] = answered(question).sentences
    assert items(sentence.text.split(" opens up ", 1)[1]) == titles(ROADMAP.opens(topic))


@pytest.mark.parametrize(("question", "topic"), NEXT, ids=[question for question, _ in NEXT])
def test_what_comes_next(question: str, topic: str) -> None:
    index = [each.id for each in ROADMAP.topics].index(topic)
    answer = answered(question)
    assert answer.sentences[0].text == f"After {title(topic)}, the next topic of the roadmap is {ROADMAP.topics[index + 1].title}."
    assert len(answer.sentences) == (1 if "right" in question else 2)


@pytest.mark.parametrize(("question", "topic"), PREVIOUS, ids=[question for question, _ in PREVIOUS])
def test_what_comes_before(question: str, topic: str) -> None:
    index = [each.id for each in ROADMAP.topics].index(topic)
    assert answered(question).sentences[0].text == f"Right before {title(topic)}, the roadmap has {ROADMAP.topics[index - 1].title}."


@pytest.mark.parametrize(("question", "topic"), DIFFICULTY, ids=[question for question, _ in DIFFICULTY])
def test_difficulty(question: str, topic: str) -> None:
    [sentence] = answered(question).sentences
    levels = ROADMAP.topic(topic).difficulty
    stated = f"Difficulty of {title(topic)}: {' to '.join(dict.fromkeys(levels or ()))}."
    assert sentence.text == (stated if levels else f"None of the learning paths states a difficulty for {title(topic)}.")


@pytest.mark.parametrize(("question", "topic", "kinds"), READINGS, ids=[question for question, _, _ in READINGS])
def test_readings(question: str, topic: str, kinds: tuple[str, ...]) -> None:
    answer = answered(question)
    expected = [each.url for each in ROADMAP.topic(topic).resources if not kinds or each.kind in kinds]
    assert expected
    assert [sentence.text.rsplit(" ", 1)[1] for sentence in answer.sentences if sentence.text.startswith("- ")] == expected
    assert str(len(expected)) in answer.sentences[0].text


def test_kinds_that_a_topic_lacks_are_said_to_be_missing() -> None:
    answer = answered("any videos about attention?")
    assert answer.sentences[0].text == "The roadmap has no link of the kind video for Attention mechanisms, but 1 other:"
    assert text_of(answered("Is there anything to read on graph RAG?")) == "The roadmap has no links for Graph RAG."


@pytest.mark.parametrize(("question", "topic"), LABS, ids=[question for question, _ in LABS])
def test_labs(question: str, topic: str) -> None:
    answer = answered(question)
    labs = ROADMAP.topic(topic).labs
    named = [sentence.text.removeprefix("- ").split(": ")[0] for sentence in answer.sentences if sentence.text.startswith("- ")]
    assert named == [lab.title for lab in labs]
    assert all(lab.goal.strip().rstrip(".") in text_of(answer) for lab in labs)


@pytest.mark.parametrize(("question", "earlier", "later", "said"), RELATIONS, ids=[relation[0] for relation in RELATIONS])
def test_relation_of_two_topics(question: str, earlier: str, later: str, said: str) -> None:
    order, relation = (sentence.text for sentence in answered(question).sentences)
    assert order.startswith(f"{title(earlier)} comes before {title(later)}:")
    assert relation.startswith(f"{title(earlier)} {said} of {title(later)}")


@pytest.mark.parametrize(("question", "held"), OTHERS, ids=[question for question, _ in OTHERS])
def test_other_questions(question: str, held: list[str]) -> None:
    answer = answered(question)
    text = text_of(answer).casefold()
    assert [each for each in held if each.casefold() not in text] == []
    assert not answer.mixed


def test_lists_by_level_hold_nothing_else() -> None:
    listed = [sentence.text.removeprefix("- ") for sentence in answered("which topics are rated expert").sentences[1:]]
    assert listed == [topic.title for topic in ROADMAP.topics if topic.difficulty == ("expert", "expert")]


# ------------------------------------------------------------------------------------------------------- golden questions, precision


def golden(name: str) -> list[dict[str, Any]]:
    questions = yaml.safe_load((GOLDEN / f"{name}.yaml").read_text(encoding="utf-8"))
    assert questions
    return list(questions)


@pytest.mark.parametrize("question", [each for each in golden("roadmap") if not each["history"]], ids=lambda each: str(each["id"]))
def test_golden_questions_about_the_roadmap(question: dict[str, Any]) -> None:
    answer = answered(question["question"])
    text = text_of(answer).casefold()
    assert [group for group in question["facts"] if not any(each.casefold() in text for each in group)] == []
    cited = {url for sentence in answer.sentences for url, _, _ in sentence.evidence}
    assert cited.intersection(question["evidence"][0]["urls"])


@pytest.mark.parametrize(
    ("question", "held"),
    [
        ("What comes after embeddings in the roadmap?", "Attention mechanisms"),
        ("What does the topic AI agents need?", "Function calling and tool use"),
    ],
)
def test_follow_ups_of_the_golden_set_made_standalone(question: str, held: str) -> None:
    assert held in text_of(answered(question))


def test_golden_questions_about_articles_are_left_alone() -> None:
    questions = [each["question"] for name in ("a", "b", "c") for each in golden(name)]
    taken = [question for question in questions if answer_from_roadmap(question, ROADMAP, TEXTS)]
    assert len(questions) > 300
    assert len(taken) <= len(questions) // 100, taken


NOT_THE_ROADMAP = """
What is the difference between DPO and PPO?
What's the difference between RAG and fine-tuning?
What are the differences between BPE and WordPiece?
How does DPO differ from PPO?
What is the relationship between attention and memory?
how does attention work
what is RAG
What is retrieval-augmented generation?
explain quantization
Tell me about prompt injection
What does RAG stand for?
What learning rate do I need for LoRA?
What's the difference between LoRA and QLoRA?
Compare DPO and PPO
What do I need to install to run vLLM?
which library implements DPO?
Is quantization lossy?
Is RAG better than fine-tuning?
what comes before attention in the transformer?
What comes after the softmax in attention?
What comes after pre-training in the RLHF pipeline?
Which step follows reranking in a RAG pipeline?
How many heads does multi-head attention have?
How many parameters does Llama 2 have?
What are the advantages of GPTQ over AWQ?
what is needed to compute the KV cache
Does DPO need a reward model?
does RLHF require a reference model?
Is a GPU required for llama.cpp?
What hardware does vLLM need?
How much memory does QLoRA need for a 65B model?
Why is attention hard to parallelize?
what does Lilian Weng say about agents?
What did the LoRA paper show?
Which papers introduced RLHF?
which paper introduced LoRA
Who created Ollama?
Who wrote the transformer paper?
how do I build a RAG app with LangChain
where is the KV cache stored?
What are the parts of a transformer?
which parts does an agent have?
what topics does the Alpaca dataset cover?
What tools can an agent call?
which tools does the ReAct agent use?
What are beginner mistakes in fine-tuning?
What levels of quantization are there?
which level of quantization should I choose
how many examples do I need for fine-tuning?
what resources are needed for pre-training?
Can I do RAG without embeddings?
Can I use quantization with LoRA?
should I use RAG or fine-tuning?
Is there a link between perplexity and quality?
what is the goal of quantization?
which benchmarks are there?
Which decoding strategies exist?
How many steps does speculative decoding take?
What can I build with LangChain?
which libraries does Haystack integrate with?
What labs have published open weights?
which labs train frontier models?
which project uses LoRA for diffusion?
What is in part 3 of the LangChain tutorial?
what is in section 4 of the QLoRA paper
How many lessons does the first part of fast.ai's course have?
How many lessons does the first part of the fast.ai course comprise, and how long does each one take approximately?
How many chapters does the first part of the Hugging Face course have?
How many videos are in the second part of 3Blue1Brown's series?
Which section of the DPO paper derives the loss?
How good is GPT-4 at math?
how good is Python for training models
What score do I need on MMLU?
What are the prerequisites for a US visa?
how hard is it to learn Japanese
where should I start with gardening?
what should I read after Harry Potter?
list the parts of a car
Who won the World Cup?
How difficult is it?
And after that one?
""".strip().splitlines()


@pytest.mark.parametrize("question", NOT_THE_ROADMAP)
def test_other_matters_are_left_alone(question: str) -> None:
    assert answer_from_roadmap(question, ROADMAP, TEXTS) is None


@pytest.mark.parametrize(
    "question",
    [
        "what should I read on quantization and how does GPTQ work?",
        "How hard is DPO? And why does it need no reward model?",
        "What are the prerequisites of RAG, and explain how chunk size changes its answers",
    ],
)
def test_a_question_that_articles_have_to_answer_too_is_mixed(question: str) -> None:
    assert answered(question).mixed


# --------------------------------------------------------------------------------------------------------------- evidence and laws

ALL = [
    entry[0]
    for table in (PREREQUISITES, EVERYTHING, OPENS, NEXT, PREVIOUS, DIFFICULTY, READINGS, LABS, RELATIONS, OTHERS)
    for entry in table
]


@pytest.mark.parametrize("question", ALL)
def test_every_sentence_is_stated_by_whole_lines_of_the_documents(question: str) -> None:
    answer = answered(question)
    assert len({sentence.text for sentence in answer.sentences}) == len(answer.sentences)
    for sentence in answer.sentences:
        assert sentence.evidence, sentence.text
        for url, start, end in sentence.evidence:
            text = TEXTS[url]
            assert text[start:end].strip() == text[start:end] != ""
            assert text[:start].endswith(("\n", "\n- "))
            assert text[end] == "\n"
            assert not re.search(r"\[\d+\]", sentence.text)


def test_asking_twice_gives_the_same() -> None:
    assert all(answered(question) == answered(question) for question in ALL[::7])


def test_no_answer_without_the_documents_that_state_it() -> None:
    question = "What do I need before RLHF?"
    assert answer_from_roadmap(question, ROADMAP, {}) is None
    stale = TEXTS | {"roadmap:rlhf": TEXTS["roadmap:rlhf"].replace("Preference alignment", "Alignment")}
    assert answer_from_roadmap(question, ROADMAP, stale) is None


SMALL = """\
topics:
  - {id: mathematics, title: Mathematics, part: Basics, summary: Numbers., difficulty: [beginner, beginner]}
  - {id: knots, title: Knots and ropes, part: Basics, summary: Tying., prerequisites: [mathematics], also_called: [Cordage]}
paths:
  - id: sailing
    title: The Sailing Course
    also_called: [the blue book]
    parts: [{id: start, title: Start, sections: [{number: 1, title: Ropes, topics: [knots]}]}]
"""


@pytest.fixture
def small_file(tmp_path: Path) -> Callable[[str], Roadmap]:
    def load(text: str) -> Roadmap:
        path = tmp_path / "roadmap.yaml"
        path.write_text(text, encoding="utf-8")
        return load_roadmap(path)

    return load


@pytest.fixture
def small(small_file: Callable[[str], Roadmap]) -> Callable[[str], str]:
    roadmap = small_file(SMALL)
    texts = {document.url: document.text for document in documents(roadmap)}

    def ask(question: str) -> str:
        answer = answer_from_roadmap(question, roadmap, texts)
        return text_of(answer) if answer else ""

    return ask


def test_another_roadmap_is_answered_by_the_same_rules(small: Callable[[str], str]) -> None:
    assert small("what do I need before cordage?") == "Direct prerequisite of Knots and ropes: Mathematics."
    assert small("how hard are knots?") == "None of the learning paths states a difficulty for Knots and ropes."
    assert small("what is in the blue book?") == "The Sailing Course has 1 part, in this order:\n- The part “Start”"
    assert small("how good must my Python be") == ""
    assert small("what do I need before RLHF?") == ""


def test_a_roadmap_without_paths_has_no_parts(small_file: Callable[[str], Roadmap]) -> None:
    bare = small_file(SMALL.split("paths:")[0])
    texts = {document.url: document.text for document in documents(bare)}
    assert answer_from_roadmap("what labs are in part 3", bare, texts) is None
    assert answer_from_roadmap("what do I need before cordage?", bare, texts) is not None


WORDS = st.sampled_from(
    """what which is before after part section 3 99 first the of RAG LoRA path zero to hero lab how hard many need next and or ? , . topics
    scientist track python who wrote links level not 0 in short table""".split()
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(WORDS, max_size=12).map(" ".join)))
def test_any_text_is_answered_with_evidence_or_left_alone(question: str) -> None:
    answer = answer_from_roadmap(question, ROADMAP, TEXTS)
    assert answer is None or all(sentence.evidence for sentence in answer.sentences)
