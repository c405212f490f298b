"""Which addresses hold the text of a link.

A link often points at a page *about* a text: the page of a GitHub repository around its README, the abstract of a paper, the
viewer around a notebook. The text itself stands under another address, with its headings and code as the author wrote them.
``addresses`` names at most three addresses for a link, the best first and the link itself last, so that a guess that does not
exist costs one request and loses nothing. Nothing here touches the network: whether an address exists is for the fetcher to see.
"""

from __future__ import annotations

import re
import shlex
from urllib.parse import unquote, urlsplit

# First path segments of github.com that are pages of the site itself, not names of owners.
_GITHUB_PAGES = frozenset(
    "about apps collections contact customer-stories enterprise events explore features issues join login logout marketplace new "
    "notifications orgs organizations pricing pulls readme search security settings signup site sponsors stars team topics trending "
    "user-attachments users".split()
)
# "main" and "master" nearly always name the default branch; HEAD still finds it after a branch was renamed.
_DEFAULT_BRANCHES = frozenset({"main", "master", "HEAD"})
_READMES = ("README.md", "README.rst")

_ARXIV_HOSTS = frozenset({"arxiv.org", "www.arxiv.org", "export.arxiv.org"})
# New identifiers (2106.09685, also 0704.0001) and those before April 2007 (hep-th/9901001, math.GT/0309136).
_ARXIV_ID = r"(?P<id>\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?"
_ARXIV_PATH = re.compile(rf"/(?:abs|pdf|html|format|ps)/{_ARXIV_ID}(?:\.pdf)?/?")
_PAPER_PATH = re.compile(rf"/papers/{_ARXIV_ID}/?")

_VIDEO_HOSTS = ("youtube.com", "youtu.be", "youtube-nocookie.com")


def addresses(url: str) -> tuple[str, ...]:
    """The addresses to try for a link, best first, at most three, the link itself last."""
    parts = urlsplit(url) if _is_web_address(url) else None
    guesses = _guess((parts.hostname or "").removeprefix("www."), parts.path) if parts else ()
    return (*(guess for guess in guesses if guess != url), url)


def manual_only(url: str) -> str | None:
    """Why a link is never fetched, and how to attach its text by hand; None for a link that is."""
    if not _is_web_address(url):
        return None
    parts = urlsplit(url)
    host = parts.hostname or ""
    if any(host == video or host.endswith("." + video) for video in _VIDEO_HOSTS):
        return (
            "YouTube's robots.txt forbids the addresses of transcripts; save the transcript and attach it: "
            f"roadmap-rag ingest --source {shlex.quote(url)} --file transcript.txt"
        )
    if host == "colab.research.google.com" and not parts.path.startswith("/github/"):
        return (
            "a Colab notebook outside GitHub opens in a browser only; download it and attach it: "
            f"roadmap-rag ingest --source {shlex.quote(url)} --file notebook.ipynb"
        )
    return None


def _is_web_address(url: str) -> bool:
    try:
        return urlsplit(url).scheme in ("http", "https")
    except ValueError:  # brackets that hold no IPv6 address
        return False


def _guess(host: str, path: str) -> tuple[str, ...]:
    """Addresses that probably hold the text behind a page; ``host`` without ``www.``."""
    if host == "github.com":
        return _guess_github([segment for segment in path.split("/") if segment])
    if host in _ARXIV_HOSTS:
        return _guess_arxiv(_ARXIV_PATH.fullmatch(path))
    if host == "huggingface.co":
        return _guess_arxiv(_PAPER_PATH.fullmatch(path))
    if host in ("colab.research.google.com", "nbviewer.org", "nbviewer.jupyter.org"):
        segments = [segment for segment in path.split("/") if segment]
        return _guess_github(segments[1:]) if segments[:1] == ["github"] and len(segments) > 4 and segments[3] == "blob" else ()
    return ()


def _guess_github(segments: list[str]) -> tuple[str, ...]:
    """The raw file of a file's page; the raw README of a repository's or a folder's."""
    if len(segments) < 2 or segments[0].lower() in _GITHUB_PAGES:
        return ()
    owner, repository, rest = segments[0], segments[1].removesuffix(".git"), segments[2:]
    raw = f"https://raw.githubusercontent.com/{owner}/{repository}"
    match rest:
        case []:
            return tuple(f"{raw}/HEAD/{name}" for name in _READMES)
        case ["blob" | "raw" | "blame", branch, *file] if file:
            return (f"{raw}/{branch}/{'/'.join(file)}",)
        case ["tree", branch, *folder]:
            start = "/".join(["HEAD" if unquote(branch) in _DEFAULT_BRANCHES else branch, *folder])
            return tuple(f"{raw}/{start}/{name}" for name in _READMES)
        case _:  # issues, wiki, releases, discussions: the page is the text
            return ()


def _guess_arxiv(match: re.Match[str] | None) -> tuple[str, ...]:
    """The PDF in its latest version, whichever the link names: links to several versions of a paper then share one text."""
    return (f"https://arxiv.org/pdf/{match['id']}",) if match else ()
