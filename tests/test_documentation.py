"""The documentation builds as a site without a warning, its links lead somewhere, and every page of the workbench is in it."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.conftest import ROOT
from tests.dashboard.test_pages import VIEWS, sections, titles

pytest.importorskip("material", reason="the extra docs is not installed")
pytestmark = pytest.mark.process


class Links(HTMLParser):
    """What a page refers to, and the places in it that can be referred to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.to: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.places |= {value for key in ("id", "name") if (value := given.get(key))}
        # the site's own root, as its page of a missing address has it
        self.to += [value for key in ("href", "src") if (value := given.get(key)) and not value.startswith("/")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", place],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return place


def test_every_link_leads_somewhere_and_no_page_asks_another_host(site: Path) -> None:
    pages = {path: Links(path) for path in site.rglob("*.html")}
    assert len(pages) > 30
    broken = []
    for path, links in pages.items():
        for link in links.to:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "data"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (parts.fragment and unquote(parts.fragment) not in pages[target].places):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []
    sources = {link for path in pages for link in re.findall(r'src="(https?:[^"]+)"', path.read_text(encoding="utf-8"))}
    assert sources == set()


def test_every_page_of_the_workbench_is_there_with_its_title_and_its_image(site: Path) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "pages").glob("*.md"))
    for name in sections():
        shown = f"\n\n![The {name.capitalize()} page](images/{name}.webp)\n"
        assert any(f"## {title}{shown}" in text for title in titles(VIEWS / f"{name}.py")), name
        assert (site / "pages" / "images" / f"{name}.webp").stat().st_size < 120_000


def test_the_python_interface_comes_from_docstrings(site: Path) -> None:
    page = (site / "python" / "index.html").read_text(encoding="utf-8")
    assert 'id="fer_core.evaluation.comparison.paired_difference"' in page
    assert "How much better B is than A, on the images that both have predicted." in page
