"""Pages of every kind, good and bad, to the one Markdown."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
from functools import cache
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from roadmap_rag.domain import Document, Page
from roadmap_rag.errors import BlockedError, ExtractError
from roadmap_rag.extract import NEAR_DUPLICATE, extract, resemblance, sketch
from roadmap_rag.extract.layout import HYPHEN, mend_hyphens
from roadmap_rag.extract.metadata import normalise_date, strip_site

WEB = Path(__file__).resolve().parents[2] / "shared" / "web"
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufffe]")
PROSE = "Low-rank adaptation keeps the weights of the model frozen and trains two small matrices in every layer instead of all of them. "


def make_page(
    body: bytes | str, content_type: str = "text/html; charset=utf-8", url: str = "https://example.org/post", fetched_url: str = ""
) -> Page:
    data = body.encode() if isinstance(body, str) else body
    return Page(url, fetched_url or url, 200, content_type, data, "2026-11-01T00:00:00Z")


def html(body: str, title: str = "A post about adapters", head: str = "") -> str:
    return f"<!doctype html><html><head><title>{title}</title>{head}</head><body>{body}</body></html>"


def article(body: str) -> str:
    """A page with the usual surroundings, long enough to be an article."""
    return html(
        '<header><nav><a href="/">Home</a> <a href="/blog">All posts of this blog</a></nav></header>'
        f"<main><article><h1>Adapters</h1><p>{PROSE * 3}</p>{body}<p>{PROSE * 3}</p></article></main>"
        '<aside class="sidebar"><h2>Related</h2><p>Another article you may like to read after this one.</p></aside>'
        "<footer>Copyright 2026, all rights reserved by the people who made this.</footer>"
    )


def text_of(body: bytes | str, content_type: str = "text/html", url: str = "https://example.org/post") -> str:
    return extract(make_page(body, content_type, url)).text


def check_form(document: Document) -> None:
    """What every text promises, whatever it was made from."""
    text = document.text
    assert text
    assert document.title
    assert HIDDEN.search(text) is None
    assert unicodedata.is_normalized("NFC", text)
    assert not any(line != line.rstrip() for line in text.split("\n"))
    assert "\n\n\n" not in outside_fences(text)


def outside_fences(text: str) -> str:
    return re.sub(r"^ *(?:> )?(`{3,}).*?^ *(?:> )?\1$", "CODE", text, flags=re.DOTALL | re.MULTILINE)


# ------------------------------------------------------------------------------------------------------------- archived pages


@cache
def archive() -> dict[str, tuple[int, str, bytes]]:
    """Address to status, content type and body of every archived response."""
    pages = {}
    with (WEB / "roadmap-web.warc.gz").open("rb") as stream:
        for record in ArchiveIterator(stream):
            if record.rec_type == "response":
                address = record.rec_headers.get_header("WARC-Target-URI")
                headers = record.http_headers
                pages[address] = (int(headers.get_statuscode()), headers.get_header("content-type") or "", record.content_stream().read())
    return pages


@cache
def archived(address: str) -> Document:
    if not WEB.exists():
        pytest.skip("the archived pages (../shared/web beside the repository) are absent")
    _, content_type, body = archive()[address]
    return extract(make_page(body, content_type, address))


def archived_addresses(kind: str = "") -> list[str]:
    if not WEB.exists():
        pytest.skip("the archived pages (../shared/web beside the repository) are absent")
    with (WEB / "MANIFEST.tsv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return [row["url"] for row in rows if row["status"] == "200" and "robots" not in row["url"] and kind in row["content_type"]]


@pytest.mark.replay
def test_every_archived_page_becomes_clean_markdown() -> None:
    addresses = archived_addresses()
    assert len(addresses) == 170
    for address in addresses:
        document = archived(address)
        check_form(document)
        prose = re.sub(r"`[^`\n]*`|\$[^$]*\$", "", outside_fences(document.text))
        assert not re.search(r"</?(?:div|p|img|a|span|br|table|details|summary)\b[^>]*>|<!--|!\[", prose), address


@pytest.mark.replay
def test_only_the_page_of_two_links_is_thin() -> None:
    thin = {address: archived(address).notes for address in archived_addresses() if archived(address).notes}
    assert thin == {"https://python.langchain.com/docs/modules/memory/types/": ("212 characters",)}


@pytest.mark.replay
@pytest.mark.parametrize(
    ("address", "title", "author", "published"),
    [
        ("https://lilianweng.github.io/posts/2023-06-23-agent/", "LLM Powered Autonomous Agents", "Lilian Weng", "2023-06-23"),
        ("https://colah.github.io/posts/2015-08-Understanding-LSTMs/", "Understanding LSTM Networks", "", ""),
        ("https://huggingface.co/blog/rlhf", "Illustrating Reinforcement Learning from Human Feedback (RLHF)", "", "2022-12-09"),
        ("https://arxiv.org/pdf/1706.03762", "Attention Is All You Need", "", "2017-12-06"),
        ("https://arxiv.org/pdf/2106.09685", "LORA: LOW-RANK ADAPTATION OF LARGE LANGUAGE MODELS", "", "2021-10-16"),
        ("https://raw.githubusercontent.com/spotify/annoy/HEAD/README.rst", "Annoy", "", ""),
    ],
)
def test_archived_metadata(address: str, title: str, author: str, published: str) -> None:
    document = archived(address)
    assert (document.title, document.author, document.published) == (title, author, published)


@pytest.mark.replay
def test_headings_code_tables_and_formulas_of_archived_pages_survive() -> None:
    attention = archived("https://lilianweng.github.io/posts/2018-06-24-attention/").text
    assert "\n## Soft vs Hard Attention\n" in attention
    assert r"| Dot-Product | $\text{score}(\boldsymbol{s}_t, \boldsymbol{h}_i)" in attention
    tutorial = archived("https://docs.pytorch.org/torchtune/0.4/tutorials/lora_finetune.html").text
    assert "```python\nfrom torchtune.models.llama2 import llama2_7b, lora_llama2_7b\n\n# Build" in tutorial
    for address in ("https://www.philschmid.de/", "https://github.com/langfuse/langfuse", "https://parlance-labs.com/education/"):
        assert len(re.findall(r"^#{1,6} ", archived(address).text, re.MULTILINE)) >= 10, address


@pytest.mark.replay
@pytest.mark.parametrize(
    "address", [f"https://arxiv.org/pdf/{number}" for number in ("1706.03762", "2305.13245", "2305.18290", "2402.09353")]
)
def test_archived_papers_have_sections_in_reading_order(address: str) -> None:
    """The four are typeset in one and two columns, by LaTeX and printed by a browser."""
    text = archived(address).text
    headings = re.findall(r"^#{2,4} (.+)$", text, re.MULTILINE)
    numbers = [int(match.group(1)) for heading in headings if (match := re.match(r"(\d+)\.? ", heading))]
    assert len(numbers) >= 4
    assert numbers == sorted(numbers)
    assert [heading for heading in headings if heading.casefold() in ("abstract", "references")] == ["Abstract", "References"]
    assert not re.search(r"[a-z]- [a-z]", text.partition("## References")[0][:8000])


@pytest.mark.replay
def test_hyphens_at_line_ends_of_a_paper_are_mended() -> None:
    text = archived("https://arxiv.org/pdf/2305.13245").text
    assert "introduce grouped-query attention (GQA), a generalization of multi-query attention" in text
    assert "multi-query attention, such as PaLM" in text


@pytest.mark.replay
def test_a_sentence_broken_by_a_figure_is_whole() -> None:
    text = archived("https://arxiv.org/pdf/2305.13245").text
    assert "The converted checkpoint is then pre-trained for a small proportion" in text


@pytest.mark.replay
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://github.com/spotify/annoy", "https://raw.githubusercontent.com/spotify/annoy/HEAD/README.rst"),
        ("https://hamel.dev/notes/llm/inference/03_inference.html", "https://hamel.dev/notes/llm/inference/inference.html"),
        ("https://axolotl-ai-cloud.github.io/axolotl/", "https://raw.githubusercontent.com/axolotl-ai-cloud/axolotl/HEAD/README.md"),
        ("https://mshojaei77.github.io/roadmap.html", "https://raw.githubusercontent.com/mshojaei77/mshojaei77.github.io/main/roadmap.md"),
    ],
)
def test_archived_copies_are_near_duplicates(one: str, other: str) -> None:
    assert resemblance(sketch(archived(one).text), sketch(archived(other).text)) >= NEAR_DUPLICATE


@pytest.mark.replay
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "https://docs.llamaindex.ai/en/stable/getting_started/starter_example/",
            "https://docs.llamaindex.ai/en/stable/getting_started/starter_example_local/",
        ),
        ("https://python.langchain.com/docs/tutorials/rag/", "https://python.langchain.com/docs/use_cases/question_answering/quickstart"),
        ("https://raw.githubusercontent.com/mlabonne/llm-course/HEAD/README.md", "https://mshojaei77.github.io/roadmap.html"),
        ("https://arxiv.org/abs/2106.09685", "https://arxiv.org/pdf/2106.09685"),
    ],
)
def test_archived_relatives_are_not_near_duplicates(one: str, other: str) -> None:
    assert resemblance(sketch(archived(one).text), sketch(archived(other).text)) < NEAR_DUPLICATE


# ------------------------------------------------------------------------------------------------------------------- web pages


def test_a_page_loses_its_surroundings_only() -> None:
    text = text_of(article("<h2>Rank <a class='headerlink' href='#rank'>¶</a></h2><p>The rank is small.</p>"))
    assert text.startswith("# Adapters\n\nLow-rank adaptation")
    assert "\n## Rank\n\nThe rank is small.\n" in text
    for surrounding in ("Home", "All posts", "Related", "Another article", "Copyright"):
        assert surrounding not in text


def test_code_keeps_lines_language_and_angle_brackets() -> None:
    code = '<div class="highlight-python"><pre><span>if</span> a &lt; b:\n    print("&lt;s&gt;")\n\n\n    # not a heading\n</pre></div>'
    assert '```python\nif a < b:\n    print("<s>")\n\n\n    # not a heading\n```' in text_of(article(code))


def test_code_that_holds_a_fence_gets_a_longer_one() -> None:
    assert "````\n```\nx\n```\n````" in text_of(article("<pre>```\nx\n```</pre>"))


def test_a_tag_in_prose_is_marked_as_code_and_a_number_sign_is_no_heading() -> None:
    text = text_of(article("<p>The token &lt;s&gt; begins a text.</p><p># is a comment, `x` too</p>"))
    assert "The token `<s>` begins a text." in text
    assert "\n\\# is a comment" in text


def test_tables_lists_and_quotes() -> None:
    text = text_of(
        article(
            "<table><tr><th>Method<th>Rank</tr><tr><td>LoRA<td>8 | 16</tr></table>"
            "<ul><li>one<ul><li>inner</li></ul></li><li><p>two</p><pre>code</pre></li></ul><ol start=3><li>three</ol>"
            "<blockquote><p>said</p><p>so</p></blockquote><dl><dt>rank<dd>a number</dl>"
        )
    )
    assert "| Method | Rank |\n| --- | --- |\n| LoRA | 8 \\| 16 |" in text
    assert "- one\n  - inner\n- two\n\n  ```\n  code\n  ```" in text
    assert "\n3. three\n" in text
    assert "> said\n>\n> so" in text
    assert "rank\n\n- a number" in text


def test_a_nested_table_becomes_one_cell() -> None:
    nested = "<table><tr><td>a<td><table><tr><td>x<td>y</tr></table></tr><tr><td>b<td>c</tr></table>"
    assert "| a | x; y |\n| --- | --- |\n| b | c |" in text_of(article(nested))


def test_formulas_of_every_writer_stand_as_tex() -> None:
    text = text_of(
        article(
            '<p>A <span class="katex"><math><semantics><mi>x</mi>'
            '<annotation encoding="application/x-tex">x_1</annotation></semantics></math>'
            '<span class="katex-html" aria-hidden="true">x1</span></span> b</p>'
            '<script type="math/tex; mode=display">\\sum_i w_i</script>'
            "<p>with \\(r \\ll d\\) and 10<sup>5</sup> and a note<sup><a href='#n'>1</a></sup></p>"
        )
    )
    assert "A $x_1$ b" in text
    assert "$$\n\\sum_i w_i\n$$" in text
    assert "with $r \\ll d$ and 10^5 and a note1" in text


def test_images_comments_scripts_and_hidden_text_are_left_out() -> None:
    text = text_of(
        article(
            '<p>seen<img src="https://evil.example/x.png" alt="badge"><!-- secret one --></p><script>secret two</script>'
            '<p style="display: none">secret three</p><p hidden>secret four</p>'
            '<p style="font-size:0;color:white">secret five</p><p style="position:absolute; left:-9999px">secret six</p>'
            "<p>ze\u200bro\u202e width</p>"
        )
    )
    assert "seen" in text
    assert "zero width" in text
    assert not re.search(r"secret|badge|evil", text)


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", "text/html; charset=iso-8859-1"),
        ("windows-1252", "text/html"),
        ("windows-1252", "text/html; charset=utf-8"),
        ("utf-16", "text/html; charset=utf-8"),
        ("windows-1251", "text/html; charset=windows-1251"),
        ("shift_jis", "text/html; charset=Shift_JIS"),
    ],
    ids=["UTF-8 called Latin-1", "undeclared", "called UTF-8", "UTF-16", "Cyrillic", "Japanese"],
)
def test_a_wrong_or_missing_charset_is_seen_through(encoding: str, declared: str) -> None:
    sentence = {"windows-1251": "Обучение моделей", "shift_jis": "言語モデルの学習"}.get(encoding, "naïve café résumé, déjà vu über größe")
    assert sentence in text_of(article(f"<p>{sentence}</p>").encode(encoding), declared)


@pytest.mark.parametrize(
    "broken",
    [
        "<p>unclosed <b>bold <i>both</p></i></b><div><div>",
        "<table><td>cell</div></table></p></p>",
        "<p <p>> & &amp &nosuch; < 3 </html><p>after",
    ],
)
def test_broken_html_is_read(broken: str) -> None:
    check_form(extract(make_page(article(broken))))


def test_deep_nesting_is_no_crash() -> None:
    for opening in ("<div>", "<blockquote>", "<ul><li>", "<b>", "<table><tr><td>"):
        document = extract(make_page(article("words " + opening * 3000 + " deep")))
        assert "Low-rank adaptation" in document.text


@pytest.mark.timeout(120)
def test_twenty_megabytes_are_cut() -> None:
    document = extract(make_page(b"<html><body><main>" + f"<p>{PROSE * 8}</p>".encode() * 19_000))
    assert document.notes == ("only the first 4,000,000 characters of the page were read",)
    assert 3_500_000 < len(document.text) <= 4_000_000


@pytest.mark.parametrize(
    ("stated", "site", "host", "title"),
    [
        ("Attention? Attention! | Lil'Log", "", "lilianweng.github.io", "Attention? Attention! | Lil'Log"),
        ("Fine-Tuning Llama2 with LoRA — torchtune 0.4 documentation", "", "docs.pytorch.org", "Fine-Tuning Llama2 with LoRA"),
        ("Build a basic LLM chat app | Streamlit Docs", "Streamlit Docs", "docs.streamlit.io", "Build a basic LLM chat app"),
        ("Quickstart | vLLM", "vLLM", "docs.vllm.ai", "Quickstart | vLLM"),
        ("[2106.09685] LoRA: Low-Rank Adaptation", "", "arxiv.org", "LoRA: Low-Rank Adaptation"),
    ],
)
def test_the_name_of_the_site_leaves_the_title(stated: str, site: str, host: str, title: str) -> None:
    assert strip_site(stated, site, host) == title


@pytest.mark.parametrize(
    ("given", "date"),
    [("2023-05-11T10:00:00Z", "2023-05-11"), ("May 11, 2023", "2023-05-11"), ("2023/05", "2023-05"), ("2023-13-40", ""), ("soon", "")],
)
def test_dates(given: str, date: str) -> None:
    assert normalise_date(given) == date


WEBVTT = """WEBVTT
Kind: captions

NOTE made by hand

00:00.000 --> 00:02.000 align:start
<v Ada>A cache holds

00:02.000 --> 00:04.000
A cache holds
keys &amp; <c>values</c> of 12

00:04.000 --> 00:06.000
layers.
"""
SUBRIP = """1
00:00:00,000 --> 00:00:02,000
A cache holds

2
00:00:02,000 --> 00:00:04,000
keys & values of 12

3
00:00:04,000 --> 00:00:06,000
layers.
"""
BESIDE_THE_PLAYER = "0:00\nA cache holds\n0:02\nkeys & values of 12\n0:04\nlayers.\n"


@pytest.mark.parametrize(("name", "source"), [("talk.vtt", WEBVTT), ("talk.srt", SUBRIP), ("talk.txt", BESIDE_THE_PLAYER)])
def test_a_transcript_is_what_is_said(name: str, source: str) -> None:
    document = extract(make_page(source.encode(), "text/plain", url=f"https://example.org/{name}"))
    assert (document.kind, document.text) == ("transcript", "A cache holds keys & values of 12 layers.")


def test_a_long_transcript_has_paragraphs_and_a_timetable_is_none() -> None:
    talk = "\n".join(f"{second // 60}:{second % 60:02}\nThis is line {second} of a talk." for second in range(100))
    paragraphs = extract(make_page(talk.encode(), "text/plain", url="https://example.org/talk.txt")).text.split("\n\n")
    assert len(paragraphs) > 3
    assert max(map(len, paragraphs)) < 1_000
    timetable = "\n".join(f"{hour}:00 the talk number {hour} begins" for hour in range(9, 18))
    assert extract(make_page(timetable.encode(), "text/plain", url="https://example.org/day.txt")).text.count(":00") == 9


def test_the_given_title_stands_in_for_a_missing_one() -> None:
    page = make_page(html(f"<p>{PROSE * 5}</p>", title=""))
    assert extract(page, title="From the roadmap").title == "From the roadmap"
    assert extract(page).title == "post"


# ----------------------------------------------------------------------------------------------------------------------- walls

WALLS = {
    "Cloudflare": (
        html("<h1>example.org</h1><p>Verify you are human by completing the action below.</p>", "Just a moment..."),
        "a bot check instead of the page",
    ),
    "captcha": (html("<p>Our systems have detected unusual traffic from your network.</p>", "Sorry"), "a bot check instead of the page"),
    "login": (
        html("<h1>Welcome back</h1><form><input name=u><input type='Password' name=p><button>Go</button></form>", "Members"),
        "a login page instead of the page",
    ),
    "sign in": (html("<h2>Sign in to continue</h2><p>Use your account.</p>", "Accounts"), "a login page instead of the page"),
    "cookies": (
        html(
            "<div><h1>Before you go on</h1><p>We and our partners use cookies to store information on a device.</p>"
            "<p>You can accept or reject cookies, or manage your consent choices at any time.</p></div>",
            "Consent",
        ),
        "a cookie wall instead of the page",
    ),
    "script": (
        html("<noscript>You need to enable JavaScript to run this app.</noscript><div id='root'></div><script src=a.js></script>", "App"),
        "the page shows its text only with JavaScript",
    ),
    "empty application": (
        html('<div id="__next"></div><script src="/bundle.js"></script><p>.</p>', "App"),
        "the page shows its text only with JavaScript",
    ),
    "subscribers": (
        html(f"<article><h1>Adapters</h1><p>{PROSE}</p><p>This post is for paid subscribers.</p></article>", "Adapters"),
        "only a preview: the rest is for subscribers",
    ),
}


@pytest.mark.parametrize(("page", "reason"), WALLS.values(), ids=WALLS.keys())
def test_walls_are_blocked(page: str, reason: str) -> None:
    with pytest.raises(BlockedError) as caught:
        extract(make_page(page))
    assert str(caught.value) == reason
    assert caught.value.http_status == 200


def test_a_redirect_to_a_login_path_is_a_login_page() -> None:
    page = make_page(html("<h1>Hello</h1><p>Choose how to go on.</p>"), fetched_url="https://example.org/users/sign_in?next=/post")
    with pytest.raises(BlockedError, match="a login page"):
        extract(page)


@pytest.mark.parametrize(
    "page",
    [
        html("<h1>404</h1><p>There is nothing here.</p>", "Example"),
        html("<h1>Oops!</h1><p>Go back to the start.</p>", "Page not found · Example Pages"),
        html("<p>We couldn’t find that page.</p>", "Example"),
    ],
)
def test_a_soft_404_is_failed_and_not_blocked(page: str) -> None:
    with pytest.raises(ExtractError, match="the page says that it is not there"):
        extract(make_page(page))


@pytest.mark.parametrize(
    "sentence",
    [
        "Cloudflare asks visitors to verify you are human, and a robot check follows. ",
        "A page not found error, 404, is what a crawler meets most. ",
        "Please sign in to continue, says the dialog that we study here. ",
        "We use cookies and ask for consent; accept cookies or manage them. ",
        "Please enable JavaScript, said every page of that decade. ",
    ],
)
def test_an_article_about_walls_is_an_article(sentence: str) -> None:
    body = f"<main><h1>How pages refuse</h1><p>{sentence * 3}</p><p>{PROSE * 16}</p></main>"
    assert sentence.strip() in extract(make_page(html(body, "How pages refuse"))).text


# -------------------------------------------------------------------------------------------------------------------- bad bytes


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive_file:
        archive_file.writestr("index.html", html("<p>inside</p>"))
    return buffer.getvalue()


BAD = {
    "nothing": (b"", "text/html", "the page is empty"),
    "white space": (b" \r\n\t ", "text/html", "the page is empty"),
    "tags only": (html("<div></div>", "").encode(), "text/html", "the page holds no text"),
    "zip called html": (zipped(), "text/html", "a zip archive, not a page"),
    "image": (b"\x89PNG\r\n\x1a\n" + bytes(100), "text/html", "an image, not a page"),
    "video": (bytes(4) + b"ftypisom" + bytes(100), "application/octet-stream", "a video, not a page"),
    "video by type": (b"whatever", "video/mp4", "video/mp4, not a page"),
    "random bytes": (bytes(range(256)) * 20, "text/html", "binary data, not a page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "text/plain", "a Git LFS pointer instead of the file"),
    "broken PDF": (b"%PDF-1.7\nnothing of the sort", "application/pdf", "the PDF cannot be read"),
    "JSON": (b'{"a": 1}', "application/json", "application/json is not a kind of page that is read"),
    "broken notebook": (b'{"nbformat": 4, "cells": 5}', "application/x-ipynb+json", "the notebook cannot be read"),
}


@pytest.mark.parametrize(("body", "content_type", "reason"), BAD.values(), ids=BAD.keys())
def test_bad_bytes_have_a_short_reason(body: bytes, content_type: str, reason: str) -> None:
    with pytest.raises(ExtractError) as caught:
        extract(make_page(body, content_type))
    assert str(caught.value) == reason


# ------------------------------------------------------------------------------------------------------------------------ PDFs


def make_pdf(*contents: str, encrypted: bool = False) -> bytes:
    """A PDF with one page for each content stream; F1 is Helvetica, F2 Helvetica-Bold; Letter paper."""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{' '.join(f'{5 + 2 * i} 0 R' for i in range(len(contents)))}] /Count {len(contents)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    for index, content in enumerate(contents):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {6 + 2 * index} 0 R "
            "/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    trailer = f"/Size {len(objects) + 1} /Root 1 0 R"
    if encrypted:
        objects.append(f"<< /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <{'41' * 32}> /U <{'42' * 32}> >>")
        trailer += f" /Encrypt {len(objects)} 0 R /ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>]"
    data, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    data += (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n<< {trailer} >>\nstartxref\n{data.rindex('endobj') + 7}\n%%EOF"
    )
    return data.encode("latin-1")


def write(x: float, y: float, text: str, size: float = 10, font: str = "F1") -> str:
    return f"BT /{font} {size} Tf {x} {y} Td ({text}) Tj ET\n"


def column(x: float, top: float, lines: list[str]) -> list[str]:
    return [write(x, top - 12 * number, line) for number, line in enumerate(lines)]


def test_an_encrypted_pdf_says_so() -> None:
    with pytest.raises(ExtractError) as caught:
        extract(make_page(make_pdf(write(72, 700, "secret"), encrypted=True), "application/pdf"))
    assert str(caught.value) == "the PDF is encrypted"


def test_a_scanned_pdf_says_so() -> None:
    document = pypdfium2.PdfDocument.new()
    for _ in range(2):
        page = document.new_page(612, 792)
        image = pypdfium2.PdfImage.new(document)
        bitmap = pypdfium2.PdfBitmap.new_native(20, 20, pdfium.FPDFBitmap_BGR)
        image.set_bitmap(bitmap)
        page.insert_obj(image)
        page.gen_content()
    buffer = io.BytesIO()
    document.save(buffer)
    document.close()
    with pytest.raises(ExtractError) as caught:
        extract(make_page(buffer.getvalue(), "application/pdf"))
    assert str(caught.value) == "no text in the PDF: 2 scanned pages"


def test_pages_without_text_are_noted() -> None:
    full = "".join(column(72, 700, [PROSE[:90]] * 20))
    document = extract(make_page(make_pdf(full, full, "", ""), "application/pdf"))
    assert document.notes == ("no text on pages 3 and 4",)
    assert document.kind == "pdf"


def test_two_columns_drawn_row_by_row_are_read_column_by_column() -> None:
    left = [f"left line {number:02} speaks of the first subject" for number in range(1, 16)]
    right = [f"right line {number:02} speaks of the second one" for number in range(1, 16)]
    rows = "".join(a + b for a, b in zip(column(60, 650, left), column(330, 650, right), strict=True))
    text = text_of(make_pdf(write(60, 700, "A Paper In Two Columns", 18, "F2") + rows), "application/pdf")
    assert text.startswith("# A Paper In Two Columns\n")
    positions = [text.index(line) for line in left + right]
    assert positions == sorted(positions)


def test_running_heads_page_numbers_headings_and_hyphens() -> None:
    pages = []
    for number in range(1, 4):
        lines = [
            "Adapters are small networks that are put into the layers of a large lan-",
            "guage model, and fine-",
            "tuning touches them only.",
        ]
        pages.append(
            write(72, 770, "Proceedings of the Workshop on Adapters", 8)
            + write(72, 700, f"{number} Section Number {number}", 14, "F2")
            + "".join(column(72, 670, lines))
            + "".join(column(72, 600, ["Here fine-tuning of a language model is written out, and it goes on for a line."]))
            + write(300, 30, str(number), 8)
        )
    text = text_of(make_pdf(*pages), "application/pdf")
    assert re.findall(r"^## .*$", text, re.MULTILINE) == [f"## {n} Section Number {n}" for n in (1, 2, 3)]
    assert "Proceedings" not in text
    assert not re.search(r"^\d$", text, re.MULTILINE)
    assert "a large language model, and fine-tuning touches them only." in text


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        (f"intro{HYPHEN}duce", "introduce"),
        (f"low{HYPHEN}rank and low-rank", "low-rank and low-rank"),
        (f"state-of-the{HYPHEN}art", "state-of-the-art"),
        (f"GPT{HYPHEN}4", "GPT-4"),
        (f"in{HYPHEN}put, put in: the input", "input, put in: the input"),
        (f"query{HYPHEN}focused: the query is focused", "query-focused: the query is focused"),
        (f"fine{HYPHEN}tuning and finetuning", "finetuning and finetuning"),
        (f"dangling{HYPHEN}", "dangling-"),
    ],
)
def test_hyphens(broken: str, mended: str) -> None:
    assert mend_hyphens(broken) == mended


# ---------------------------------------------------------------------------------------------------------------------- markup

README = """---
title: "The Front Title"
date: 2024-02-03
---
<p align="center"><img src="logo.png"></p>
<h1 align="center">The Tool</h1>

[![Build](https://img.shields.io/x.svg)](https://ci.example) <!-- a comment
over lines -->

Setext Heading
--------------

See [the docs](https://docs.example/a?b=c) and <b>bold</b>, *stars*, `a_b`, $x_1 * y_1$ and https://example.org.

<<<<<<< HEAD
ours
=======
theirs
>>>>>>> branch

~~~python
# not a heading
x = "<div>"
~~~

<details><summary>More</summary>

| a | b |
|---|:-:|
| 1 | `x|y` |

</details>

$$
E = m c^2
$$

1. first
2. second
   - nested
"""


def test_a_readme_is_cleaned_and_keeps_its_structure() -> None:
    document = extract(make_page(README, "text/plain; charset=utf-8", "https://raw.githubusercontent.com/o/r/HEAD/README.md"))
    text = document.text
    assert (document.kind, document.title, document.published) == ("markdown", "The Front Title", "2024-02-03")
    assert text.startswith("# The Tool\n\n## Setext Heading\n\nSee the docs and bold, stars, `a_b`, $x_1 * y_1$ and https://example.org.\n")
    assert '```python\n# not a heading\nx = "<div>"\n```' in text
    assert "ours" in text
    assert "theirs" in text
    assert "| a | b |\n| --- | --- |\n" in text
    assert "$$\nE = m c^2\n$$" in text
    assert "1. first\n2. second\n   - nested" in text
    assert not re.search(r"<{7}|={7}|>{7}|shields|logo|comment|docs\.example", text)


def test_a_readme_without_a_title_takes_the_given_one() -> None:
    page = make_page("## Install\n\nRun it.\n\n## Use\n\n- so\n", "text/plain", "https://raw.githubusercontent.com/o/r/HEAD/README.md")
    assert extract(page, title="The repository").title == "The repository"
    assert extract(make_page("## Install\n\nRun it.", "text/markdown", "https://github.com/o/r/blob/main/README.md")).title == "o/r"


def test_restructuredtext_reads_no_files_and_no_raw_html(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret of this machine")
    source = (
        "The Library\n===========\n\nIt has ``code`` and *words*.\n\nUse\n---\n\n.. code-block:: python\n\n   x = 1\n\n"
        f".. include:: {secret}\n\n.. raw:: html\n\n   <script>bad</script>\n\n.. csv-table::\n   :file: {secret}\n\n* item `broken\n"
    )
    document = extract(make_page(source, "text/plain", "https://example.org/README.rst"))
    assert (document.kind, document.title) == ("restructuredtext", "The Library")
    assert document.text.startswith("# The Library\n\nIt has `code` and words.\n\n## Use\n\n```python\nx = 1\n```")
    assert not re.search(r"secret|bad|System Message|WARNING", document.text)


def test_a_notebook_keeps_prose_code_and_short_outputs() -> None:
    cells = (
        '{"cell_type": "markdown", "source": ["# Decoding\\n", "Greedy $p(x)$."], "metadata": {}},'
        '{"cell_type": "code", "source": "print(1)  # say", "metadata": {}, "execution_count": 1, "outputs": ['
        '{"output_type": "stream", "name": "stdout", "text": ["1\\n"]},'
        '{"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"}}]}'
    )
    body = f'{{"cells": [{cells}], "metadata": {{}}, "nbformat": 4, "nbformat_minor": 4}}'
    document = extract(make_page(body, "text/plain", "https://example.org/a.ipynb"))
    assert (document.kind, document.title) == ("notebook", "Decoding")
    assert document.text == "# Decoding\n\nGreedy $p(x)$.\n\n```python\nprint(1)  # say\n```\n\n```\n1\n```"


@pytest.mark.parametrize(
    ("body", "content_type", "url", "kind"),
    [
        ("<!DOCTYPE html><html><body><p>x y</p></body></html>", "text/plain", "https://example.org/a", "html"),
        ("# A\n\n- [b](c)\n\n## D\n", "text/plain", "https://example.org/a", "markdown"),
        ("# A\n\ntext\n", "text/html", "https://example.org/a.md", "markdown"),
        ("Just words.\n", "text/plain", "https://example.org/a.txt", "text"),
        ("Just words.\n", "", "notes:talk.txt", "text"),
        ("# Note\n", "", "notes:talk.md", "markdown"),
        ("import os\n# comment\n", "text/plain", "https://raw.githubusercontent.com/a/b/main/c.py", "text"),
    ],
)
def test_the_kind_is_seen_from_content_address_and_type(body: str, content_type: str, url: str, kind: str) -> None:
    assert extract(make_page(body, content_type, url)).kind == kind


def test_a_source_file_stands_in_a_fence() -> None:
    assert text_of("import os\n# comment\n", "text/plain", "https://example.org/c.py") == "```python\nimport os\n# comment\n```"


# ------------------------------------------------------------------------------------------------------------------------- laws

PIECES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(
            [
                "<p>",
                "</p>",
                "<pre>",
                "</pre>",
                "<td>",
                "<table>",
                "<li>",
                "<h2>",
                "&#8203;",
                "&#x202e;",
                "\x02",
                "\u200d",
                "```\n",
                "# ",
                "$$",
                "\r",
                "|",
                "`",
            ]
        ),
    ),
    max_size=40,
).map("".join)


def try_to_extract(page: Page) -> tuple[Document | None, str]:
    """The document, or the reason why there is none; any other exception is a fault."""
    try:
        return extract(page), ""
    except (ExtractError, BlockedError) as error:
        return None, str(error)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PIECES, st.sampled_from(["text/html", "text/markdown", "text/x-rst", "text/plain"]))
def test_any_text_is_refused_or_clean_and_always_the_same(text: str, content_type: str) -> None:
    page = make_page(text.encode("utf-8", "surrogatepass"), content_type)
    document, reason = try_to_extract(page)
    assert try_to_extract(page) == (document, reason)
    if document is None:
        assert 0 < len(reason) < 200
    else:
        check_form(document)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"%PDF-1.4\n", b"<html><p>"]))
def test_any_bytes_are_refused_or_clean(data: bytes, prefix: bytes) -> None:
    document, reason = try_to_extract(make_page(prefix + data))
    if document is None:
        assert 0 < len(reason) < 200
    else:
        check_form(document)


def test_a_sketch_does_not_depend_on_case_marks_or_process() -> None:
    assert sketch("One two, three four five six.") == sketch("one TWO three — four five six")
    assert (
        sorted(sketch("one two three four five")) == [int.from_bytes(bytes.fromhex("96a2f6f5d7e0d1a5"), "big")]
        or len(sketch("a b c d e")) == 1
    )
    assert sketch("...") == frozenset()


@given(
    st.lists(st.sampled_from("a b c d e f g h".split()), min_size=1, max_size=60),
    st.lists(st.sampled_from("a b c d e".split()), min_size=1, max_size=60),
)
def test_resemblance_is_symmetric_and_bounded(one: list[str], other: list[str]) -> None:
    a, b = sketch(" ".join(one)), sketch(" ".join(other))
    assert resemblance(a, b) == resemblance(b, a)
    assert 0.0 <= resemblance(a, b) <= 1.0
    assert resemblance(a, a) == 1.0


def test_resemblance_falls_with_the_share_of_changed_text() -> None:
    words = [f"word{number}" for number in range(3000)]
    changed = [word if number > 300 else f"other{number}" for number, word in enumerate(words)]
    new = [f"new{number}" for number in range(3000)]
    assert resemblance(sketch(" ".join(words)), sketch(" ".join(changed))) == pytest.approx(2700 / 3300, abs=0.08)
    assert resemblance(sketch(" ".join(words)), sketch(" ".join(new))) == 0.0
