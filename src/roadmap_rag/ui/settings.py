"""The few settings that matter, for this browser: who writes, how many passages, how strict, light or dark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from roadmap_rag.ui.state import QUOTES_ONLY, HomeState
from roadmap_rag.wiring import App

_STORED_AS = "roadmap-rag-settings"
_SET_THEME = "(name) => window.setTheme(name)"


class Settings:
    """The components and what they remember; the values are kept in the browser, not on the server."""

    def __init__(self, app: App, state: HomeState) -> None:
        self._app, self._state = app, state

    def remember(self) -> None:
        """The place in the browser where choices are kept; it must stand outside the tab, which is empty until it is opened."""
        self._kept = gr.BrowserState(None, storage_key=_STORED_AS, secret=_STORED_AS)  # not secret, and the same after a restart

    def lay_out(self) -> None:
        config = self._app.config
        self.model = gr.Dropdown(
            self._models([]),
            value=config.model,
            label="Who writes the answers",
            info="A model that Ollama has on this machine, or nobody: then the passages themselves are quoted.",
            elem_id="setting-model",
        )
        self.passages = gr.Slider(
            1,
            20,
            value=min(config.passages, 20),
            step=1,
            label="Passages",
            info="How many passages an answer may draw on. More find more, and take a small model longer.",
        )
        self.strict = gr.Checkbox(
            value=config.strict, label="Strict", info="Leave out sentences that no passage holds up, instead of marking them."
        )
        self.theme = gr.Radio(["System", "Light", "Dark"], value="System", label="Colours", info="System follows your computer.")

    def wire(self, blocks: gr.Blocks, quiet: Mapping[str, Any]) -> None:
        chosen = [self.model, self.passages, self.strict, self.theme]
        for component in (self.model, self.strict, self.theme):
            component.input(self._keep, chosen, self._kept, **quiet, queue=False)
        self.passages.release(self._keep, chosen, self._kept, **quiet, queue=False)
        self.theme.input(None, self.theme, None, js=_SET_THEME, **quiet)
        recalled = blocks.load(self._recall, self._kept, chosen, **quiet)
        recalled.then(None, self.theme, None, js=_SET_THEME, **quiet)

    def _models(self, found: list[str]) -> list[tuple[str, str]]:
        configured = self._app.config.model
        names = list(dict.fromkeys([*([configured] if configured else []), *found]))
        automatic = [] if configured else [("The best that is installed", "")]
        return [*automatic, *((name, name) for name in names), ("Nobody: quotes only", QUOTES_ONLY)]

    def _warm(self, model: str) -> None:
        """Load the model while the user still reads or types."""
        if model != QUOTES_ONLY:
            self._app.warm_meanwhile(model or None)

    def _keep(self, model: str, passages: float, strict: bool, theme: str) -> dict[str, Any]:
        self._warm(model)
        return {"model": model, "passages": int(passages), "strict": strict, "theme": theme}

    def _recall(self, kept: dict[str, Any] | None) -> tuple[Any, ...]:
        """What this browser chose before, as far as it still can be chosen."""
        choices = self._models(self._state.models())
        kept = kept or {}
        model = kept.get("model", self._app.config.model)
        if model not in {value for _, value in choices}:
            model = choices[0][1]
        self._warm(model)
        return (
            gr.Dropdown(choices=choices, value=model),
            kept.get("passages", min(self._app.config.passages, 20)),
            kept.get("strict", self._app.config.strict),
            kept.get("theme", "System"),
        )
