"""What the documentation site adds to the files as they are: mkdocs calls these functions.

The design notes have one place, and so has CONTRIBUTING.md, which GitHub shows; the site lists the first and shows the second.
"""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    notes = sorted((ROOT / "docs" / "design").glob("[0-9]*.md"))
    rows = (f"- [{TITLE.findall(note.read_text(encoding='utf-8'))[0]}]({note.name})" for note in notes)
    files.append(File.generated(config, "design/index.md", content="# Design notes\n\n" + "\n".join(rows) + "\n"))
    words = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "contributing.md", content=words))
    return files
