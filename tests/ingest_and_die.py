"""Ingests the small home with a changed and a new page, and kills itself at its N-th step on disk (0: never; prints the count)."""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from roadmap_rag.ingest import Request
from small_home import SITE, SmallHome, page

STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "sqlite3.connect", "shutil.copyfile", "shutil.rmtree"}


def main() -> None:
    folder, last = Path(sys.argv[1]), int(sys.argv[2])
    pages = {f"{SITE}one": page("apple"), f"{SITE}two": page("banana"), f"{SITE}three": page("cherry"), f"{SITE}four": page("damson")}
    home = SmallHome(folder, dict(pages), links=("three", "four"), encoder_log=folder / "embedded.log")
    taken = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal taken
        if event in STEPS and arguments and str(folder) in str(arguments[0]):
            taken += 1
            if taken == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    home.ingestor().run(Request())
    print(taken)


main()
