"""Images that students paste into written answers: made anew by Pillow, so that nothing else travels with them.

A notebook keeps them as attachments (Jupyter, VS Code) or as data inside the text (Colab). What can't be read, is of
another kind (SVG can carry scripts) or is one too many is left out, and that is said.
"""

import base64
import binascii
import io
import re
import warnings
from urllib.parse import unquote

from PIL import Image, ImageOps

from classroom.terminal import one_line

MAX_IMAGES = 30  # of a notebook
MAX_PIXELS = 50_000_000  # a telephone's photograph; what has more is not decoded
MAX_PIXELS_IN_ALL = 200_000_000  # of a notebook: five seconds
MAX_SIDE = 1_600  # pixels; larger ones are made smaller
MAX_BYTES = 2_000_000  # of an image as kept
MAX_TEXT = 200_000  # characters of a cell without its images
KINDS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")

# ![alt](data:image/png;base64,...), <img src="data:...">, [name]: data:... ; the text of the data ends at one of )"'>\s
_EMBEDDED = re.compile(r"data:image/([\w.+-]{1,20})(?:;[\w=-]{1,40})*,([^)\"'<>\s]*)", re.IGNORECASE)
_OTHER_DATA = re.compile(r"data:[\w.+-]+/[\w.+-]+[;,][^)\"'<>\s]*", re.IGNORECASE)
_USED = re.compile(r"attachment:([^)\"'<>\s]+)")
_ADDRESS = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,([A-Za-z0-9+/=\s]*)")


class Album:
    """The images of one notebook: how many there were, and what was left out."""

    def __init__(self) -> None:
        self.count = self.pixels = 0
        self.notes: list[str] = []

    def text(self, source: str, where: str) -> str:
        """A cell's text with its embedded images made anew."""
        images: list[str] = []

        def take_out(found: re.Match) -> str:
            made = self._again(unquote(found[2]), f"{where}: an image in the text")
            images.append(f"data:{made[0]};base64,{made[1]}" if made else "#image-left-out")
            return f"\0{len(images) - 1}\0"  # no text of a student's has this character: read_notebook replaces it

        text = _OTHER_DATA.sub("#left-out", _EMBEDDED.sub(take_out, source))
        if len(text) > MAX_TEXT:
            self.notes.append(f"{where} has {len(text)} characters; the first {MAX_TEXT} are kept")
            text = text[:MAX_TEXT]
        return re.sub(r"\0(\d+)\0", lambda found: images[int(found[1])], text).replace("\0", "")

    def attachments(self, given: dict, source: str, where: str) -> dict:
        """A cell's attachments made anew, those that its text shows."""
        shown = {unquote(name) for name in _USED.findall(source)} | set(_USED.findall(source))
        kept = {}
        for name, bundle in given.items():
            if name not in shown:
                continue
            made = self._again(next(iter(bundle.values())), f"{where}: the image {one_line(name[:60])}")
            if made:
                kept[name] = {made[0]: made[1]}
        return kept

    def _again(self, data: str, what: str) -> tuple[str, str] | None:
        """The image anew, as MIME type and base64 text; None if it is left out."""
        self.count += 1
        if self.count > MAX_IMAGES:
            self.notes.append(f"{what} was left out: {MAX_IMAGES} images are possible")
            return None
        try:
            given = base64.b64decode("".join(data.split()), validate=True)
            self.pixels += pixels(given)
            if self.pixels > MAX_PIXELS_IN_ALL:
                raise UnreadableImageError("all images together are too large")
            mime, made = again(given)
        except (UnreadableImageError, binascii.Error, ValueError) as error:
            reason = error if isinstance(error, UnreadableImageError) else "it can't be read"
            self.notes.append(f"{what} was left out: {reason}")
            return None
        return mime, base64.b64encode(made).decode()


class UnreadableImageError(Exception):
    """An image that is left out; the message is the reason."""


def pixels(data: bytes) -> int:
    """How many pixels an image says that it has.

    Raises:
        UnreadableImageError: if it is none that is taken, or has too many.
    """
    try:
        with warnings.catch_warnings(), _open(data) as image:
            width, height = image.size
    except Exception as error:  # of a made-up file Pillow's readers raise anything: OSError, SyntaxError, struct.error
        raise UnreadableImageError(f"it can't be read ({type(error).__name__})") from None
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(f"it has {width} x {height} pixels")
    return width * height


def is_readable(data: bytes) -> bool:
    """Whether a picture is of one of our KINDS, whatever it is called, and says that it has at most MAX_PIXELS.

    100 kB may say a billion, which a browser then makes; and a browser draws more kinds than we can measure.
    """
    try:
        pixels(data)
    except UnreadableImageError:
        return False
    return True


def is_picture(address: str) -> bool:
    """Whether an address holds a whole picture that is_readable."""
    found = _ADDRESS.fullmatch(address)
    try:
        return found is not None and is_readable(base64.b64decode("".join(found[1].split()), validate=True))
    except (binascii.Error, ValueError):
        return False


def again(data: bytes) -> tuple[str, bytes]:
    """An image decoded and written again, at most MAX_SIDE pixels wide and high, without anything but its pixels.

    Look at `pixels` first.

    Raises:
        UnreadableImageError: with the reason.
    """
    try:
        with warnings.catch_warnings(), _open(data) as image:
            image.seek(0)
            clear = image.has_transparency_data
            plain = ImageOps.exif_transpose(image).convert("RGBA" if clear else "RGB")
            photograph = image.format in ("JPEG", "WEBP") and not clear
        plain.thumbnail((MAX_SIDE, MAX_SIDE))
        plain.info.clear()  # comments, profiles
        for quality in (None, 80, 50):  # a drawing stays sharp where it fits
            out = io.BytesIO()
            if quality is None and not photograph:
                plain.save(out, "PNG", optimize=False)
            else:
                plain.convert("RGB").save(out, "JPEG", quality=quality or 85)
            if out.tell() <= MAX_BYTES:
                return ("image/png" if quality is None and not photograph else "image/jpeg"), out.getvalue()
    except Exception as error:  # as above
        raise UnreadableImageError(f"it can't be read ({type(error).__name__})") from None
    raise UnreadableImageError("it takes too much room")


def _open(data: bytes) -> Image.Image:
    warnings.simplefilter("ignore")  # about sizes: we look at them ourselves
    return Image.open(io.BytesIO(data), formats=KINDS)
