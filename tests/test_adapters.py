"""Which addresses are tried for which link."""

from __future__ import annotations

import pytest

from roadmap_rag.adapters import addresses, manual_only

RAW = "https://raw.githubusercontent.com"
PDF = "https://arxiv.org/pdf"

TABLE = {
    "repository": (
        "https://github.com/MinishLab/semhash",
        [f"{RAW}/MinishLab/semhash/HEAD/README.md", f"{RAW}/MinishLab/semhash/HEAD/README.rst"],
    ),
    "repository with a final slash": (
        "https://github.com/leondz/garak/",
        [f"{RAW}/leondz/garak/HEAD/README.md", f"{RAW}/leondz/garak/HEAD/README.rst"],
    ),
    "repository over http": ("http://github.com/a/b", [f"{RAW}/a/b/HEAD/README.md", f"{RAW}/a/b/HEAD/README.rst"]),
    "repository with www": ("https://www.github.com/a/b", [f"{RAW}/a/b/HEAD/README.md", f"{RAW}/a/b/HEAD/README.rst"]),
    "repository for git": ("https://github.com/a/b.git", [f"{RAW}/a/b/HEAD/README.md", f"{RAW}/a/b/HEAD/README.rst"]),
    "repository at a heading": (
        "https://github.com/a/b?tab=readme-ov-file#use",
        [f"{RAW}/a/b/HEAD/README.md", f"{RAW}/a/b/HEAD/README.rst"],
    ),
    "repository with dots": (
        "https://github.com/ggerganov/llama.cpp",
        [f"{RAW}/ggerganov/llama.cpp/HEAD/README.md", f"{RAW}/ggerganov/llama.cpp/HEAD/README.rst"],
    ),
    "default branch": ("https://github.com/a/b/tree/main", [f"{RAW}/a/b/HEAD/README.md", f"{RAW}/a/b/HEAD/README.rst"]),
    "other branch": ("https://github.com/a/b/tree/v2", [f"{RAW}/a/b/v2/README.md", f"{RAW}/a/b/v2/README.rst"]),
    "folder": (
        "https://github.com/a/b/tree/master/examples/rag",
        [f"{RAW}/a/b/HEAD/examples/rag/README.md", f"{RAW}/a/b/HEAD/examples/rag/README.rst"],
    ),
    "file": ("https://github.com/wangzhaode/mnn-llm/blob/master/README_en.md", [f"{RAW}/wangzhaode/mnn-llm/master/README_en.md"]),
    "file with an encoded name": ("https://github.com/a/b/blob/main/docs/my%20file.md", [f"{RAW}/a/b/main/docs/my%20file.md"]),
    "file at a line": ("https://github.com/a/b/blob/main/c.py#L10-L20", [f"{RAW}/a/b/main/c.py"]),
    "raw link on github.com": ("https://github.com/a/b/raw/main/c.md", [f"{RAW}/a/b/main/c.md"]),
    "notebook": ("https://github.com/a/b/blob/main/examples/demo.ipynb", [f"{RAW}/a/b/main/examples/demo.ipynb"]),
    "notebook in Colab": ("https://colab.research.google.com/github/a/b/blob/main/demo.ipynb", [f"{RAW}/a/b/main/demo.ipynb"]),
    "notebook in nbviewer": ("https://nbviewer.org/github/a/b/blob/main/demo.ipynb", [f"{RAW}/a/b/main/demo.ipynb"]),
    "notebook in nbviewer outside GitHub": ("https://nbviewer.org/urls/example.com/demo.ipynb", []),
    "raw file": (f"{RAW}/a/b/main/README.md", []),
    "owner": ("https://github.com/huggingface", []),
    "front page of GitHub": ("https://github.com/", []),
    "topic of GitHub": ("https://github.com/topics/llm", []),
    "image upload": ("https://github.com/user-attachments/assets/ddd877d4", []),
    "issue": ("https://github.com/a/b/issues/14931", []),
    "wiki": ("https://github.com/a/b/wiki", []),
    "branch without a file": ("https://github.com/a/b/blob/main", []),
    "abstract": ("https://arxiv.org/abs/2106.09685", [f"{PDF}/2106.09685"]),
    "abstract in a version": ("https://arxiv.org/abs/1706.03762v5", [f"{PDF}/1706.03762"]),
    "abstract over http": ("http://arxiv.org/abs/2106.09685", [f"{PDF}/2106.09685"]),
    "abstract on another host": ("https://export.arxiv.org/abs/2106.09685", [f"{PDF}/2106.09685"]),
    "abstract before 2007": ("https://arxiv.org/abs/hep-th/9901001", [f"{PDF}/hep-th/9901001"]),
    "abstract before 2007 with a class": (
        "https://arxiv.org/abs/math.GT/0309136v1",
        [f"{PDF}/math.GT/0309136"],
    ),
    "paper": ("https://arxiv.org/pdf/2106.09685", []),
    "paper with an ending": ("https://arxiv.org/pdf/2106.09685.pdf", [f"{PDF}/2106.09685"]),
    "paper in a version": ("https://arxiv.org/pdf/2106.09685v2.pdf", [f"{PDF}/2106.09685"]),
    "paper as a page": ("https://arxiv.org/html/2403.10131v1", [f"{PDF}/2403.10131"]),
    "front page of arXiv": ("https://arxiv.org/", []),
    "listing": ("https://arxiv.org/list/cs.CL/recent", []),
    "paper page": ("https://huggingface.co/papers/2405.11143", [f"{PDF}/2405.11143"]),
    "list of papers": ("https://huggingface.co/papers", []),
    "article": ("https://huggingface.co/blog/rlhf", []),
    "another host's path": ("https://example.com/abs/2106.09685", []),
    "host that only ends the same": ("https://notgithub.com/a/b", []),
    "with a port": ("https://github.com:443/a/b", [f"{RAW}/a/b/HEAD/README.md", f"{RAW}/a/b/HEAD/README.rst"]),
    "topic of the roadmap": ("roadmap:attention", []),
    "note": ("notes:github.com/a/b.md", []),
    "no address": ("https://[github.com/a/b", []),
    "empty": ("", []),
}


@pytest.mark.parametrize(("url", "guesses"), TABLE.values(), ids=TABLE.keys())
def test_addresses(url: str, guesses: list[str]) -> None:
    assert addresses(url) == (*guesses, url)
    assert len(addresses(url)) <= 3


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v=kCc8FmEb1nY",
        "https://www.youtube.com/watch?v=fNk_zzaMoSs&list=PLZHQObOWTQDPD3MizzM2xVFitgF8hE_ab",
        "https://www.youtube.com/playlist?list=PLqnslRFeH2UrcDBWF5mfPGpqQDSta6VK4",
        "https://youtube.com/@3blue1brown",
        "https://m.youtube.com/watch?v=a",
        "https://youtu.be/i_LwzRVP7bg",
        "https://www.youtube-nocookie.com/embed/a",
    ],
)
def test_videos_are_never_fetched(url: str) -> None:
    reason = manual_only(url)
    assert reason is not None
    assert reason.startswith("YouTube's robots.txt forbids the addresses of transcripts; save the transcript and attach it: ")
    assert "\n" not in reason


def test_the_command_can_be_pasted_into_a_shell() -> None:
    reason = manual_only("https://www.youtube.com/watch?v=a&list=b")
    assert reason is not None
    assert reason.endswith("roadmap-rag ingest --source 'https://www.youtube.com/watch?v=a&list=b' --file transcript.txt")


@pytest.mark.parametrize("path", ["/drive/1a2b", "/gist/someone/1a2b", "/"])
def test_colab_outside_github_is_never_fetched(path: str) -> None:
    reason = manual_only("https://colab.research.google.com" + path)
    assert reason is not None
    assert reason.startswith("a Colab notebook outside GitHub opens in a browser only; download it and attach it: roadmap-rag ingest ")


@pytest.mark.parametrize(
    "url",
    [
        "https://notyoutube.com/watch?v=a",
        "https://example.com/youtube.com",
        "https://colab.research.google.com/github/a/b/blob/main/demo.ipynb",
        "https://github.com/a/b",
        "roadmap:attention",
        "https://[youtube.com/",
    ],
)
def test_other_links_are_fetched(url: str) -> None:
    assert manual_only(url) is None
