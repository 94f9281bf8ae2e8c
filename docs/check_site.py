"""Check the site that was built: no internal link is dead, and every public name has an address.

python docs/check_site.py docs/_build/html
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.util.inventory import InventoryFile

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))


class Page(HTMLParser):
    """Collect what a page links to, and the places that can be linked."""

    def __init__(self, path: Path):
        super().__init__()
        self.places, self.links = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Note one element."""
        attributes = dict(attrs)
        self.places |= {attributes.get("id"), attributes.get("name")}
        self.links += [attributes[key] for key in ("href", "src") if attributes.get(key)]


def dead_links(root: Path) -> list[str]:
    """Return 'page -> link' for every internal link that leads nowhere."""
    pages = {path.resolve(): Page(path) for path in root.rglob("*.html") if "_static" not in path.parts}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            place = unquote(url.fragment)
            if not target.exists() or (place and target in pages and place not in pages[target].places):
                dead.append(f"{path.relative_to(root.resolve())} -> {link}")
    return dead


def missing_names(root: Path) -> list[str]:
    """Return the public names that objects.inv lacks."""
    from public_names import public_names

    with root.joinpath("objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, path: path)
    listed = {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}
    return sorted(set(public_names()) - listed)


if __name__ == "__main__":
    site = Path(sys.argv[1])
    found = [*dead_links(site), *(f"objects.inv lacks {name}" for name in missing_names(site))]
    sys.exit("\n".join(found) or 0)
