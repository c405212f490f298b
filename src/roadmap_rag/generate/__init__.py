"""Language models on the user's own machines: what servers offer, which model to ask, and answers in pieces that can be stopped."""

from roadmap_rag.generate.callbacks import silent_callbacks
from roadmap_rag.generate.compatible import OpenAIGenerator, served_models
from roadmap_rag.generate.models import (
    Machine,
    Measured,
    ModelInfo,
    Recommendation,
    choose,
    graphics_memory,
    memory_needed,
    recommend,
    same_name,
)
from roadmap_rag.generate.ollama import STOPPABLE_BATCH, OllamaGenerator, normal_keep_alive
from roadmap_rag.generate.server import Diagnosis, Granted, OllamaServer, Progress, diagnose, is_local, parse_host
from roadmap_rag.generate.stream import TokenStream, WaitingLine
from roadmap_rag.generate.tokens import estimate_prompt_tokens, estimate_tokens

__all__ = [
    "STOPPABLE_BATCH",
    "Diagnosis",
    "Granted",
    "Machine",
    "Measured",
    "ModelInfo",
    "OllamaGenerator",
    "OllamaServer",
    "OpenAIGenerator",
    "Progress",
    "Recommendation",
    "TokenStream",
    "WaitingLine",
    "choose",
    "diagnose",
    "estimate_prompt_tokens",
    "estimate_tokens",
    "graphics_memory",
    "is_local",
    "memory_needed",
    "normal_keep_alive",
    "parse_host",
    "recommend",
    "same_name",
    "served_models",
    "silent_callbacks",
]
