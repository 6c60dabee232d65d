import numpy as np
import pytest
import torch

from deeppractice.data.number_names import END, MOST, PAD, UNKNOWN, Vocabulary, draw_numbers, english, french, words

# By hand, from the rules: each case is one of them. (French, then Swiss where it differs.)
FRENCH = {
    0: "zéro",
    1: "un",
    16: "seize",
    17: "dix-sept",
    20: "vingt",
    21: "vingt-et-un",
    22: "vingt-deux",
    61: "soixante-et-un",
    70: "soixante-dix",
    71: "soixante-et-onze",
    72: "soixante-douze",
    77: "soixante-dix-sept",
    80: "quatre-vingts",
    81: "quatre-vingt-un",
    90: "quatre-vingt-dix",
    91: "quatre-vingt-onze",
    99: "quatre-vingt-dix-neuf",
    100: "cent",
    101: "cent-un",
    120: "cent-vingt",
    180: "cent-quatre-vingts",
    200: "deux-cents",
    201: "deux-cent-un",
    280: "deux-cent-quatre-vingts",
    999: "neuf-cent-quatre-vingt-dix-neuf",
    1000: "mille",
    1001: "mille-un",
    1100: "mille-cent",
    1200: "mille-deux-cents",
    2000: "deux-mille",
    21_000: "vingt-et-un-mille",
    80_000: "quatre-vingt-mille",
    80_080: "quatre-vingt-mille-quatre-vingts",
    100_000: "cent-mille",
    200_000: "deux-cent-mille",
    200_200: "deux-cent-mille-deux-cents",
    280_071: "deux-cent-quatre-vingt-mille-soixante-et-onze",
    380_000: "trois-cent-quatre-vingt-mille",
    999_999: "neuf-cent-quatre-vingt-dix-neuf-mille-neuf-cent-quatre-vingt-dix-neuf",
}
SWISS = {
    70: "septante",
    71: "septante-et-un",
    77: "septante-sept",
    80: "huitante",
    81: "huitante-et-un",
    90: "nonante",
    91: "nonante-et-un",
    97: "nonante-sept",
    60: "soixante",
    80_180: "huitante-mille-cent-huitante",
}
ENGLISH = {
    0: "zero",
    7: "seven",
    13: "thirteen",
    20: "twenty",
    42: "forty-two",
    100: "one hundred",
    110: "one hundred ten",
    342_007: "three hundred forty-two thousand seven",
    1000: "one thousand",
    12_000: "twelve thousand",
    280_071: "two hundred eighty thousand seventy-one",
    999_999: "nine hundred ninety-nine thousand nine hundred ninety-nine",
}


@pytest.mark.parametrize("n", FRENCH)
def test_french_names_follow_the_rules(n):
    assert french(n) == FRENCH[n]


@pytest.mark.parametrize("n", SWISS)
def test_swiss_names_follow_the_rules(n):
    assert french(n, swiss=True) == SWISS[n]


@pytest.mark.parametrize("n", ENGLISH)
def test_english_names_follow_the_rules(n):
    assert english(n) == ENGLISH[n]


def test_no_two_numbers_share_a_name():
    some = [*range(3000), *range(70_000, 100_000, 7), *range(100_000, MOST + 1, 61), MOST]
    for name in (english, french, lambda n: french(n, swiss=True)):
        assert len({name(n) for n in some}) == len(set(some))


def test_swiss_and_french_differ_only_from_seventy_on():
    differ = [n for n in range(100) if french(n) != french(n, swiss=True)]
    assert differ == list(range(70, 100))


def test_french_reads_back():
    """A reader of names that shares no rule with the writer: it multiplies and adds what it sees."""
    value = {word: n for n in range(17) for word in [french(n)]}
    value |= {word: 10 * n for n, word in enumerate(words("vingt trente quarante cinquante soixante"), 2)}
    value |= {"septante": 70, "huitante": 80, "nonante": 90, "et": 0}

    def read(name):
        total = group = 0
        for word in words(name):
            if word == "mille":
                total, group = 1000 * max(group, 1), 0
            elif word in ("cent", "cents"):
                group = 100 * max(group, 1)
            elif word in ("vingt", "vingts") and group % 100 == 4:
                group += 76
            else:
                group += value[word]
        return total + group

    for n in [*range(1100), *range(1100, MOST + 1, 997), MOST]:
        assert read(french(n)) == n
        assert read(french(n, swiss=True)) == n


@pytest.mark.parametrize("name", [english, french])
@pytest.mark.parametrize("n", [-1, MOST + 1])
def test_numbers_without_a_name_are_refused(name, n):
    with pytest.raises(ValueError, match=f"from 0 to {MOST}, got {n}"):
        name(n)


def test_words_are_split_at_spaces_and_hyphens():
    assert words("forty-two thousand") == ["forty", "two", "thousand"]
    assert words("") == []


def test_draws_are_different_repeat_and_cover_all_sizes():
    drawn = draw_numbers(3000, seed=1)
    assert len(set(drawn.tolist())) == 3000
    assert np.array_equal(drawn, draw_numbers(3000, seed=1))
    assert not np.array_equal(drawn, draw_numbers(3000, seed=2))
    assert drawn.min() >= 1
    assert drawn.max() <= MOST
    assert all((drawn >= 10**digits).any() for digits in range(6))
    assert draw_numbers(50, most=100).max() <= 100
    with pytest.raises(ValueError, match="1 to 50 numbers"):
        draw_numbers(51, most=100)


def test_vocabulary_goes_there_and_back():
    numbers = [7, 71, 999_999]
    names = [french(n) for n in numbers]
    vocabulary = Vocabulary(names)
    codes = vocabulary.encode(names)
    assert codes.shape == (3, 14)
    assert codes.dtype == torch.int64
    assert (codes == END).sum(1).tolist() == [1, 1, 1]
    assert codes[0].tolist() == [vocabulary.codes["sept"], END] + [PAD] * 12
    assert vocabulary.decode(codes) == names
    assert vocabulary.encode(names, length=20).shape == (3, 20)
    with pytest.raises(ValueError, match="at most 4 words, got one of 13"):
        vocabulary.encode(names, length=5)


def test_words_that_no_text_has_are_unknown():
    vocabulary = Vocabulary(["one two"])
    assert len(vocabulary) == 6
    assert vocabulary.encode(["one million"])[0].tolist() == [vocabulary.codes["one"], UNKNOWN, END]
    assert vocabulary.decode(torch.tensor([[4, UNKNOWN, 5]]), " ") == ["one <unknown> two"]


def test_all_words_of_the_two_languages():
    numbers = [*range(101), 200, 1000]
    assert len(Vocabulary(english(n) for n in numbers)) == 4 + 30
    assert len(Vocabulary(french(n) for n in numbers)) == 4 + 27
