"""An answer checked sentence by sentence against the passages that its writer had before it.

``verify`` cuts a draft into sentences, finds for each the stretch of a passage that says the same, and keeps, corrects, adds or removes
labels accordingly. A citation's quote is cut from the passage by offsets, so it exists by construction. No language model is asked.
"""

from roadmap_rag.citations.evidence import Encode, Entails
from roadmap_rag.citations.labels import CONTRADICTED_MARK, UNSUPPORTED_MARK
from roadmap_rag.citations.render import Verified
from roadmap_rag.citations.verify import Restate, verify

__all__ = ["CONTRADICTED_MARK", "UNSUPPORTED_MARK", "Encode", "Entails", "Restate", "Verified", "verify"]
