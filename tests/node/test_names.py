"""Names and free text are found however they are spelled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.index.names import fold_name, fold_text, name_keys


@pytest.mark.parametrize(
    "spellings",
    [
        ["Lefèvre", "LEFEVRE", "Le fèvre", "lefe\u0300vre", "LE-FÈVRE"],
        ["D'Angély", "DANGELY", "D\u2019ANGÉLY", "d angely", "D\u02bcAngély"],
        ["Lecœur", "LECOEUR", "LECŒUR"],
        ["Saint-Exupéry", "Saint\u2010Exupéry", "SAINT EXUPERY", "Saint\u2013Exupery"],
        ["Weiß", "WEISS", "WEIẞ"],
        ["Đorđević", "DORDEVIC", "đorđević"],
        ["Œuvrard^Loïc", "OEUVRARD^LOIC^", "oeuvrard^loïc^^"],
    ],
)
def test_spellings_of_one_name_meet(spellings):
    assert len({fold_name(spelling) for spelling in spellings}) == 1


def test_components_stay_apart():
    assert fold_name("Martin^Paul") != fold_name("Martinpaul")


def test_free_text_keeps_its_spaces_and_hyphens():
    assert fold_text("IRM cérébrale - T2") == "IRM CEREBRALE - T2"


def test_component_groups_have_keys_of_their_own():
    assert name_keys("Yamada^Tarou=山田^太郎=やまだ^たろう") == (
        "YAMADA^TAROU",
        "=山田^太郎=やまた^たろう=",
    )
    assert name_keys("=山田^太郎") == ("", "=山田^太郎=")
    assert name_keys("Martin^Paul==") == ("MARTIN^PAUL", "")


@given(st.text())
def test_folding_what_is_folded_changes_nothing(text):
    assert fold_text(fold_text(text)) == fold_text(text)
    assert fold_name(fold_name(text)) == fold_name(text)


LATIN = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x17F, exclude_categories=["Cc", "Cs"])
)


@given(LATIN)
def test_case_never_matters(text):
    assert fold_name(text.upper()) == fold_name(text) == fold_name(text.lower())


@given(st.text("aeiouçEUnyÀ"), st.sampled_from("\u0300\u0301\u0302\u0308\u030c\u0327"))
def test_accents_never_matter(text, accent):
    assert fold_name("".join(char + accent for char in text)) == fold_name(text)
