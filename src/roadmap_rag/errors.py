"""The error tree. Every message says what happened, to which thing, and what to run or change next.

    RoadmapRagError                 exit 1
    ├── UsageError                  exit 2: the call itself was wrong
    ├── SettingsError               a settings file or variable cannot be read
    ├── RoadmapError                roadmap.yaml or links.yaml is not valid: names the entry and the line
    ├── FetchError                  a source could not be had (``failed`` in the report)
    │   └── BlockedError            it is not allowed, or what came is not the article (``blocked``)
    ├── ExtractError                bytes came, but no text could be made of them
    ├── StorageError                a folder cannot be read or written
    │   └── LockedError             another process is writing; carries its process id
    ├── IndexMissingError           nothing has been indexed yet
    ├── IndexMismatchError          the index was made with another embedder or other chunks
    ├── EncoderError                an embedding model cannot be loaded or run
    └── GeneratorError              the language model did not answer, or stopped in the middle
        └── PromptTooLongError      the prompt would have been cut by the server

Only the edges (command line, chat) catch the base class; nothing below them prints.
"""


class RoadmapRagError(Exception):
    """Base of every error that this project raises on purpose."""

    exit_code = 1


class UsageError(RoadmapRagError):
    exit_code = 2


class SettingsError(RoadmapRagError):
    pass


class RoadmapError(RoadmapRagError):
    pass


class FetchError(RoadmapRagError):
    """A source could not be had.

    ``http_status`` is the status of the last answer, or None when none came. ``requests`` counts what was sent.
    """

    def __init__(self, reason: str, *, http_status: int | None = None, fetched_url: str | None = None, requests: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.http_status = http_status
        self.fetched_url = fetched_url
        self.requests = requests


class BlockedError(FetchError):
    pass


class ExtractError(RoadmapRagError):
    pass


class StorageError(RoadmapRagError):
    pass


class LockedError(StorageError):
    def __init__(self, message: str, *, pid: int) -> None:
        super().__init__(message)
        self.pid = pid


class IndexMissingError(RoadmapRagError):
    pass


class IndexMismatchError(RoadmapRagError):
    pass


class EncoderError(RoadmapRagError):
    pass


class GeneratorError(RoadmapRagError):
    pass


class PromptTooLongError(GeneratorError):
    pass
