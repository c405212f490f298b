"""The roadmap: what ``roadmap.yaml`` and the user's ``links.yaml`` say, checked, with the questions one asks of it.

``reading`` turns the files into records and names the line of whatever is wrong in them; ``graph`` answers what comes before and
after a topic and which links there are to ingest; ``links`` adds and removes the user's own links; ``describe`` writes topics, paths
and parts as documents, so that questions about the roadmap itself are answered from passages like any other.
"""

from roadmap_rag.roadmap.answers import RoadmapSentence
from roadmap_rag.roadmap.describe import documents
from roadmap_rag.roadmap.graph import OWN_LINK, Roadmap, as_dict
from roadmap_rag.roadmap.links import add_link, remove_link
from roadmap_rag.roadmap.questions import RoadmapAnswer, answer_from_roadmap
from roadmap_rag.roadmap.reading import load_roadmap

__all__ = [
    "OWN_LINK",
    "Roadmap",
    "RoadmapAnswer",
    "RoadmapSentence",
    "add_link",
    "answer_from_roadmap",
    "as_dict",
    "documents",
    "load_roadmap",
    "remove_link",
]
