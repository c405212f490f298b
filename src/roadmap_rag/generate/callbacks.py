"""LlamaIndex without its global settings: a callback manager that has no handler looks for one there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_index.core.callbacks import CallbackManager


def silent_callbacks() -> CallbackManager:
    """A manager with a handler that does nothing: one without any would read LlamaIndex's global settings."""
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.callbacks.base_handler import BaseCallbackHandler

    class Silent(BaseCallbackHandler):
        def on_event_start(self, *_: Any, event_id: str = "", **__: Any) -> str:
            return event_id

        def on_event_end(self, *_: Any, **__: Any) -> None:
            pass

        def start_trace(self, trace_id: str | None = None) -> None:
            pass

        def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
            pass

    return CallbackManager([Silent([], [])])
