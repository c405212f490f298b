"""What the documents quote from the program is what the program says."""

import contextlib
import re
from pathlib import Path

from roadmap_rag import __version__
from roadmap_rag.cli import main
from roadmap_rag.wiring import settings_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_settings_table_is_the_programs() -> None:
    found = re.search(r"<!-- settings: .*? -->\n(.*?)\n<!-- end of settings -->", README, re.DOTALL)
    assert found
    assert found[1] == settings_table()


def test_the_readme_names_every_command(capsys) -> None:  # type: ignore[no-untyped-def]
    with contextlib.suppress(SystemExit):
        main(["--help"])
    commands = set(re.findall(r"^    (\w+)  ", capsys.readouterr().out, re.MULTILINE))
    assert len(commands) >= 12
    assert {name for name in commands if f"`{name}" not in README} == set()


def test_the_changelog_has_this_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_no_file_names_a_registry_or_a_machine() -> None:
    forbidden = re.compile(r"files\.pythonhosted|pypi\.org/simple|registry\.npmjs|/root/|/home/\w+/")
    for path in [*ROOT.glob("*.*"), *(ROOT / "src").rglob("*.py"), *(ROOT / "docs").rglob("*.md")]:
        if path.is_file() and path.suffix in (".md", ".txt", ".toml", ".py", ".yaml"):
            assert not forbidden.search(path.read_text("utf-8")), path
