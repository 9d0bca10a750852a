"""Names and free text are found however they are spelled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.index.names import fold_name, fold_text, name_keys
from dicom_node.index.sounds import sound_key, sound_of


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


@pytest.mark.parametrize(
    "spellings",
    [
        ["Lefèvre", "Lefebvre", "Le Faivre", "LEFÉVRE"],
        ["Dupont", "Dupond", "Dupons"],
        ["Mohamed", "Muhammad", "Mohammed", "Mouhamed"],
        ["Schmidt", "Schmitt", "Schmit"],
        ["Gautier", "Gauthier", "Gaultier"],
        ["Thibault", "Thibaud", "Tibaut"],
        ["Philippe", "Filipe"],
        ["Meyer", "Meier", "Mayer", "Maier"],
        ["Hernandez", "Ernandes"],
        ["Nguyen", "Nguyên", "N'Guyen"],
        ["Rousseau", "Rousso"],
        ["Guillaume", "Guilaume"],
        ["Christine", "Kristine"],
        ["Leclerc", "Leclair"],
        ["Chevalier", "Chevallier"],
    ],
)
def test_spellings_of_one_sound_meet(spellings):
    assert len({sound_of(spelling) for spelling in spellings}) == 1


def test_other_names_sound_otherwise():
    names = ["Martin", "Durand", "Lefèvre", "Bernard", "Mercier", "Petit", "Roux", "Vidal", "山田"]
    assert len({sound_of(name) for name in names}) == len(names)


def test_a_sound_key_is_family_and_given_of_the_first_group_that_has_any():
    assert sound_key("Lefèvre^Hélène^^Dr") == f"{sound_of('Lefebvre')}^{sound_of('Elene')}"
    assert sound_key("=山田^太郎") == "山田^太郎"
    assert sound_key("^^^") == sound_key("") == ""


@given(st.text())
def test_the_sound_of_any_text_is_found_whatever_its_case(text):
    assert sound_of(text.upper()) == sound_of(text) or not text.isascii()
    assert "\\" not in sound_of(text.replace("\\", ""))
