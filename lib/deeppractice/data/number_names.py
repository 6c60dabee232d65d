"""Number names: a language pair without a download, 0 to 999,999 in English words and in French ones.

One worked datum: 280,071 is "two hundred eighty thousand seventy-one" and
"deux-cent-quatre-vingt-mille-soixante-et-onze". Small as it is, the task is not word for word: seventy-one is
sixty-and-eleven, "one" before "hundred" and "thousand" is not said, and "cent" and "vingt" have an s only where they
are multiplied and no numeral follows.

Source: for French, the spelling of the reform of 1990, which joins all words of a number by hyphens (Journal officiel,
Documents administratifs no. 100, 6 December 1990); English as in America, without "and". "Swiss" is the usage of the
canton of Vaud: septante, huitante, nonante for 70, 80, 90.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

MOST = 999_999
PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")


def words(text: str) -> list[str]:
    """Words between spaces and hyphens: "forty-two thousand" -> ["forty", "two", "thousand"]."""
    return re.split(r"[ -]", text) if text else []


_ENGLISH = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_ENGLISH_TENS = words("none ten twenty thirty forty fifty sixty seventy eighty ninety")
_FRENCH = words("zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize")
_FRENCH_TENS = words("rien dix vingt trente quarante cinquante soixante septante huitante nonante")


def english(n: int) -> str:
    """342,007 -> "three hundred forty-two thousand seven"."""
    thousands, rest = divmod(_checked(n), 1000)
    parts = [f"{_english_hundreds(thousands)} thousand"] if thousands else []
    return " ".join(parts + [_english_hundreds(rest)] * (rest > 0)) or "zero"


def _english_hundreds(n: int) -> str:
    hundreds, rest = divmod(n, 100)
    parts = [f"{_ENGLISH[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        parts.append("-".join([_ENGLISH_TENS[rest // 10]] + [_ENGLISH[rest % 10]] * (rest % 10 > 0)))
    elif rest:
        parts.append(_ENGLISH[rest])
    return " ".join(parts)


def french(n: int, *, swiss: bool = False) -> str:
    """342,007 -> "trois-cent-quarante-deux-mille-sept"; 97 is "quatre-vingt-dix-sept", in Swiss "nonante-sept"."""
    thousands, rest = divmod(_checked(n), 1000)
    parts = _french_hundreds(thousands, swiss, followed=True) if thousands > 1 else []  # "mille", not "un-mille"
    parts = parts + ["mille"] * (thousands > 0) + _french_hundreds(rest, swiss, followed=False)
    return "-".join(parts or [_FRENCH[0]])


def _french_hundreds(n: int, swiss: bool, followed: bool) -> list[str]:
    """`followed`: by "mille", so that neither "cent" nor "vingt" is the last numeral."""
    hundreds, rest = divmod(n, 100)
    multiplied = [_FRENCH[hundreds]] * (hundreds > 1)
    cent = ["cents" if hundreds > 1 and not rest and not followed else "cent"] * (hundreds > 0)
    return multiplied + cent + _french_tens(rest, swiss, followed)


def _french_tens(n: int, swiss: bool, followed: bool) -> list[str]:
    if n <= 16:
        return [_FRENCH[n]] * (n > 0)
    tens, unit = divmod(n, 10)
    if tens in (7, 9) and not swiss:  # counted on from sixty and from four twenties
        tens, unit = tens - 1, unit + 10
    and_ = ["et"] * (unit in (1, 11) and (tens != 8 or swiss))
    if tens == 8 and not swiss:
        return ["quatre", "vingt" if unit or followed else "vingts", *_french_tens(unit, swiss, followed)]
    return [_FRENCH_TENS[tens], *and_, *_french_tens(unit, swiss, followed)]


def _checked(n: int) -> int:
    if not 0 <= n <= MOST:
        raise ValueError(f"expected a number from 0 to {MOST}, got {n}")
    return int(n)


def draw_numbers(n: int, *, most: int = MOST, seed: int = 0) -> np.ndarray:
    """As many different numbers, 1 to `most`, small ones as likely as large: uniform in the logarithm, (n,).

    Raises:
        ValueError: for more numbers than half of those that there are, where drawing would not end soon.
    """
    if not 0 < n <= most // 2 or most > MOST:
        raise ValueError(f"expected 1 to {min(most, MOST) // 2} numbers up to {MOST}, got {n} up to {most}")
    dice, found = np.random.default_rng(seed), {}
    while len(found) < n:
        drawn = np.exp(dice.uniform(0, np.log(most + 1), size=n)).astype(int)
        found |= dict.fromkeys(np.minimum(drawn, most).tolist())
    return np.array(list(found)[:n])


class Vocabulary:
    """The words of a language as codes, after `SPECIAL` in alphabetical order; `len` counts both.

    Args:
        texts: whose words it knows. A word of no text is `UNKNOWN`.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.words = [*SPECIAL, *sorted({word for text in texts for word in words(text)})]
        self.codes = {word: code for code, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, texts: Sequence[str], *, length: int | None = None) -> Tensor:
        """Codes of each text, then END, then PAD up to the longest, or up to `length`: (N, T)."""
        rows = [[*(self.codes.get(word, UNKNOWN) for word in words(text)), END] for text in texts]
        length = length or max(map(len, rows))
        if max(map(len, rows)) > length:
            raise ValueError(f"expected texts of at most {length - 1} words, got one of {max(map(len, rows)) - 1}")
        return torch.tensor([row + [PAD] * (length - len(row)) for row in rows])

    def decode(self, codes: Tensor, joint: str = "-") -> list[str]:
        """The words of each row up to END, without PAD and START: (N, T) -> N texts."""
        texts = []
        for row in codes.tolist():
            row = row[: row.index(END)] if END in row else row
            texts.append(joint.join(self.words[code] for code in row if code not in (PAD, START)))
        return texts
