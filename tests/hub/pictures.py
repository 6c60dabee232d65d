"""The pictures of the journeys: all of them for whoever reads a run, some of them in the book's guides."""

import io
import re
from pathlib import Path

import yaml
from PIL import Image
from playwright.sync_api import Locator, Page

from .running import ROOT

PICTURES = ROOT / "book" / "hub"
SAID = PICTURES / "pictures.yml"  # what stands in each picture
ALL = ROOT / "_build" / "hub-journeys"
MOST_BYTES = 150_000  # of a picture
_AROUND = 8  # pixels around what is shown
# What is another thing each day, and what depends on how long something took.
_TIMES = re.compile(r"\w{3} \d+ \w{3} \d{4}, \d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?( UTC)?")


def take(page: Page, name: str, of: Locator | None, shown: Locator | None, *, prefix: str, write: bool) -> None:
    """Take a picture for whoever reads a run; with `of`, one that the book shows.

    The book's is as it was as long as the same text stands in `of`. If not, the journey fails until
    `--write-screenshots` has taken a new one, so that no guide shows what is not there any more. It is cut to `shown`,
    so that it can be read on a phone. Names of people are compared without their `prefix` (see running.Hub).
    """
    ALL.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ALL / f"{name}.png")
    if of is None:
        return
    said = words(of).replace(prefix, "")
    known = yaml.safe_load(SAID.read_text(encoding="utf-8")) if SAID.exists() else {}
    if write:
        PICTURES.mkdir(exist_ok=True)
        small = Image.open(io.BytesIO(page.screenshot(clip=_box(page, shown or of)))).convert("RGB").quantize(64)
        small.save(PICTURES / f"{name}.png", optimize=True)
        SAID.write_text(yaml.safe_dump(known | {name: said}, width=100, allow_unicode=True), encoding="utf-8")
        return
    message = f"book/hub/{name}.png shows something else; pytest tests/hub/test_journeys.py --write-screenshots"
    assert known.get(name) == said, message


def _box(page: Page, shown: Locator) -> dict[str, float]:
    """What is seen of a part of a page, or of several, with a little around it."""
    boxes, window = [box for one in shown.all() if (box := one.bounding_box())], page.viewport_size
    left, top = (max(0, min(box[side] for box in boxes) - _AROUND) for side in ("x", "y"))
    right = min(window["width"], max(box["x"] + box["width"] for box in boxes) + _AROUND)
    bottom = min(window["height"], max(box["y"] + box["height"] for box in boxes) + _AROUND)
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def words(of: Locator) -> str:
    """The text of a part of a page, without times."""
    return " ".join(_TIMES.sub("TIME", of.first.inner_text()).split())


def shown_in_the_book() -> set[str]:
    """The pictures that the guides show."""
    pages = [path.read_text(encoding="utf-8") for path in Path(ROOT / "book").rglob("*.md")]
    return set(re.findall(r"\{image\} (?:\.\./hub/)?([a-z-]+)\.png", "\n".join(pages)))
