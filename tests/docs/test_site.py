"""The site builds without a warning, needs no network, and holds every page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path


class _Loads(HTMLParser):
    """What a browser fetches to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "link" and known.get("rel") in (
            "stylesheet",
            "icon",
            "shortcut icon",
            "preload",
            "preconnect",
        ):
            self.urls.append(known["href"] or "")
        if tag in ("script", "img", "iframe", "source") and known.get("src"):
            self.urls.append(known["src"] or "")


def test_every_page_is_built_and_in_the_navigation(site: Path, root: Path) -> None:
    pages = {page.relative_to(root / "docs").with_suffix(".html").as_posix() for page in root.glob("docs/**/*.md")}
    index = (site / "index.html").read_text(encoding="utf-8")
    navigation = index[: index.index('role="main"')]
    assert pages <= set(re.findall(r'href="([^"#]+\.html)"', navigation)) | {"index.html"}
    assert all((site / name).is_file() for name in pages)


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    for page in site.glob("**/*.html"):
        loads = _Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert loads.urls, page
        assert [url for url in loads.urls if "//" in url] == [], page
    for style in site.glob("**/*.css"):
        found = re.findall(r"url\(\s*['\"]?(\w+:)?//|@import", style.read_text(encoding="utf-8"))
        assert found == [], style


def test_tools_of_the_site_are_not_published(site: Path) -> None:
    assert not list(site.glob("**/*.py"))
