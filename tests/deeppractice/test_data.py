"""`load`, the cards, and the tables against scikit-learn's own arrays."""

import inspect
import re

import numpy as np
import pytest
from sklearn import datasets

from deeppractice import data
from deeppractice.data import CARDS, Table, load
from deeppractice.data.loading import LOADERS
from deeppractice.data.tables import TABLES

NAMES = list(TABLES)


def test_every_card_has_its_loader_and_the_other_way_round() -> None:
    assert list(LOADERS) == list(CARDS) == [card.name for card in CARDS.values()]
    assert {"digits", "breast_cancer", "wine", "iris", "diabetes"} <= set(NAMES)
    assert {"glyphs", "photos", "mnist", "fashion-mnist", "cifar10"} == set(CARDS) - set(NAMES)
    assert data.__all__ == ["CARDS", "Card", "Images", "Table", "Views", "load", "warped"]


@pytest.mark.parametrize("name", list(CARDS))
def test_every_card_says_what_one_has_to_know(name: str) -> None:
    card = CARDS[name]
    for text in (card.title, card.target, card.source, card.licence):
        assert text.strip()
    shown = card._repr_html_()
    for text in (card.title, card.source, card.licence, card.note, str(card.features)):
        assert text in shown


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_what_the_arrays_are(name: str) -> None:
    table = load(name)
    card = CARDS[name]
    assert table.card is card
    assert card.name == name
    assert table.X.shape == (card.rows, card.features)
    assert len(table) == len(table.y) == card.rows
    assert len(table.names) == len(set(table.names)) == card.features
    assert table.X.dtype == np.float32
    assert table.X.flags.c_contiguous
    assert np.isfinite(table.X).all()
    assert np.isfinite(table.y).all()
    assert table.task == card.task
    if table.task == "classification":
        assert table.y.dtype == np.int64
        assert sorted(set(table.y.tolist())) == list(range(len(table.classes)))
    else:
        assert table.task == "regression"
        assert table.y.dtype == np.float32
        assert table.classes == ()


@pytest.mark.parametrize("name", NAMES)
def test_the_values_are_those_of_scikit_learn_unscaled(name: str) -> None:
    arguments = {"scaled": False} if name == "diabetes" else {}
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True, **arguments)
    table = load(name)
    np.testing.assert_array_equal(table.X, X.astype(np.float32))
    np.testing.assert_array_equal(table.y, y)


def test_diabetes_is_not_scaled_with_the_statistics_of_all_rows() -> None:
    table = load("diabetes")
    age = table.X[:, table.names.index("age")]
    assert (age.min(), age.max()) == (19, 79)


def test_what_the_cards_claim_about_columns_is_so() -> None:
    digits = load("digits").X
    assert (digits.min(), digits.max()) == (0, 16)
    scales = load("wine").X.std(axis=0)
    assert scales.max() / scales.min() > 1000
    sex = load("diabetes").X[:, load("diabetes").names.index("sex")]
    assert set(sex.tolist()) == {1, 2}
    assert load("linnerud").y.shape == (20, 3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("test", [0.25, 0.4])
def test_a_split_is_complete_and_disjoint_and_keeps_rows_together(name: str, test: float) -> None:
    table = load(name)
    rows = np.arange(len(table))
    numbered = Table(rows[:, None].astype(np.float32), table.y, ("row",), table.classes, table.card)
    X_train, y_train, X_test, y_test = numbered.split(3, test=test)
    train, held_out = X_train[:, 0].astype(int), X_test[:, 0].astype(int)
    assert sorted([*train, *held_out]) == rows.tolist()
    assert len(held_out) == int(np.ceil(test * len(table)))
    np.testing.assert_array_equal(y_train, table.y[train])
    np.testing.assert_array_equal(y_test, table.y[held_out])
    assert X_train.dtype == X_test.dtype == np.float32


@pytest.mark.parametrize("name", [name for name in NAMES if CARDS[name].task == "classification"])
def test_classes_keep_their_shares_in_a_split(name: str) -> None:
    table = load(name)
    _, y_train, _, y_test = table.split(0)
    counts, held_out = np.bincount(table.y), np.bincount(y_test, minlength=len(table.classes))
    assert np.abs(held_out - 0.25 * counts).max() < 1
    assert np.bincount(y_train).tolist() == (counts - held_out).tolist()


def test_a_split_depends_on_its_seed_alone() -> None:
    table = load("iris")
    first = table.split(0)
    np.random.seed(99)
    for ours, again in zip(first, table.split(0), strict=True):
        np.testing.assert_array_equal(ours, again)
    assert not np.array_equal(first[0], table.split(1)[0])


@pytest.mark.parametrize("test", [0, 1, -0.1, 1.5, 30])
def test_a_test_part_that_is_no_fraction(test: float) -> None:
    with pytest.raises(ValueError, match=re.escape(f"between 0 and 1, got {test}")):
        load("iris").split(0, test=test)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("digit", "'digits'"),
        ("Digits", "'digits'"),
        ("breast cancer", "'breast_cancer'"),
        ("diabetis", "'diabetes'"),
        ("glyph", "'glyphs'"),
    ],
)
def test_a_wrong_name_names_the_near_misses_and_what_there_is(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"no data set is called '{name}'; did you mean {near}") as info:
        load(name)
    assert str(info.value).endswith("There are: " + ", ".join(CARDS))


def test_a_name_that_is_near_nothing_makes_no_suggestion() -> None:
    with pytest.raises(ValueError, match=r"no data set is called 'xyzzy'\. There are: digits") as info:
        load("xyzzy")
    assert "did you mean" not in str(info.value)


def test_how_a_table_shows_itself() -> None:
    assert repr(load("digits")) == "Table('digits': 1797 rows, 64 features, 10 classes)"
    assert repr(load("diabetes")) == "Table('diabetes': 442 rows, 10 features, regression)"
    shown = load("digits")._repr_html_()
    assert "1,797 × 64" in shown
    assert "CC BY 4.0" in shown
    assert "<th scope='row'>note</th>" in shown
    assert "note" not in load("iris")._repr_html_()  # it has none


def test_changing_a_table_does_not_change_the_next_one() -> None:
    load("iris").X[:] = 0
    assert load("iris").X.max() > 7


@pytest.mark.parametrize("name", NAMES)
def test_a_table_takes_no_settings(name: str) -> None:
    with pytest.raises(TypeError, match=re.escape(f"the set {name!r} has no setting 'n'. It takes none")):
        load(name, n=5)


def test_a_wrong_setting_names_the_near_misses_and_what_there_is() -> None:
    with pytest.raises(TypeError, match="the set 'glyphs' has no setting 'rotate'; did you mean 'rotation'") as info:
        load("glyphs", n=5, rotate=3)
    assert str(info.value).endswith("It takes " + ", ".join(inspect.signature(LOADERS["glyphs"]).parameters))


def test_what_tables_and_images_have_in_common_has_the_same_name() -> None:
    table, images = load("digits"), load("glyphs", n=40)
    for one in (table, images):
        assert one.task == "classification"
        assert len(one) == len(one.X) == len(one.y)
        X_train, y_train, X_test, y_test = one.split(0, test=0.5)
        assert len(X_train) + len(X_test) == len(y_train) + len(y_test) == len(one)
        assert one.card is CARDS[one.card.name]
