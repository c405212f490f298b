# Two commands from a bare machine: `make chat` and `make test`. Both set up what they need, once.
#   make chat INGEST=0     without fetching the linked pages beside the chat
#   make chat PORT=7861    on another port
#   make chat TORCH=cpu    on Linux without an NVIDIA GPU: a download of hundreds of megabytes instead of gigabytes (through uv)

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
PORT ?= 7860
INGEST ?= 1
VENV := .venv
RUN := $(VENV)/bin

ifeq ($(TORCH),cpu)
INSTALL = $(RUN)/pip install --quiet uv && $(RUN)/uv pip install --python $(RUN)/python --torch-backend cpu --constraint constraints.txt --editable
else
INSTALL = $(RUN)/pip install --quiet --constraint constraints.txt --editable
endif

.PHONY: chat test check gate benchmark screenshots clean
.DEFAULT_GOAL := chat

chat: $(VENV)/.chat
	@$(RUN)/roadmap-rag ingest --limit 0 >/dev/null || [ $$? -eq 3 ]
	@INGEST=$(INGEST) $(RUN)/roadmap-rag chat --port $(PORT)

test: $(VENV)/.test check
	$(RUN)/pytest

check: $(VENV)/.test
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

gate: $(VENV)/.test
	$(RUN)/roadmap-rag eval --suite retrieval --gate
	$(RUN)/roadmap-rag eval --suite answers --gate --limit 120
	$(RUN)/roadmap-rag eval --suite robustness --gate --limit 24

screenshots: $(VENV)/.test
	@$(RUN)/roadmap-rag ingest --limit 0 >/dev/null || [ $$? -eq 3 ]
	$(RUN)/python tests/screenshots.py

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it with make PYTHON=/path/to/python"; exit 1; }
	@echo "making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.chat: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing the dependencies pinned in constraints.txt (once; some minutes, up to 7 GB with torch for NVIDIA GPUs)"
	@$(INSTALL) .
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing the dependencies and the test tools pinned in constraints.txt (once; some minutes)"
	@$(INSTALL) '.[evaluation,test]'
	@touch $@ $(VENV)/.chat

clean:
	rm -rf $(VENV)
