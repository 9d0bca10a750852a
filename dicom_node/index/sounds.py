"""What a person's name sounds like: Lefèvre, Lefebvre and Le Faivre meet (PS3.4 C.2.2.2.1).

A key is made of each component by itself: letters that sound alike in the names of a French
hospital (French, and Germanic, Slavic, Arabic or Iberian names as French clerks write them) become
one, vowels go except a leading one, silent endings go. So one lookup finds all spellings.
"""

from __future__ import annotations

import re

from dicom_node.index.names import fold_name

# In this order; "H" stands last so that the digraphs are seen first.
_RULES = [
    (re.compile(pattern), to)
    for pattern, to in [
        (r"[^A-Z]", ""),
        (r"(?<=[AEIOUY])B(?=V)", ""),  # Lefebvre
        (r"(?<=AU)L(?=[TDX])", ""),  # Gaultier, Thibault
        (r"RC$", "R"),  # Leclerc
        (r"PH", "F"),
        (r"TSCH|TCH|DSCH|SCH|CZ|SZ|CH(?=[AEIOUY])|SH|DJ|DZ", "J"),
        (r"CH", "K"),  # Christian
        (r"W(?=[AEIOUY])", "V"),
        (r"OUA|OI", "WA"),
        (r"ILL(?=[AEIOUY])", "L"),
        (r"GN|NI(?=[AEOU])", "N"),
        (r"G(?=[EIY])", "J"),
        (r"GU(?=[EIY])|GH", "G"),
        (r"C(?=[EIY])", "S"),
        (r"CK|QU|[CQ]", "K"),
        (r"X(?=[AEIOUY])", "KS"),
        (r"Z|X", "S"),
        (r"H", ""),
        (r"Y", "I"),
        (r"(?<=..)[DTSP]+$", ""),  # silent in French: Dupont, Dupond, Dupons
        (r"M(?=[BP])", "N"),
        (r"(?<=.)[AEIOUW]+", "."),
        (r"(.)\1+", r"\1"),
        (r"\.", ""),
    ]
]
_A_LEADING_VOWEL = re.compile(r"^[AEIOU]")


def sound_of(component: str) -> str:
    """Return the key of one component of a name; what is not Latin stays as it is folded."""
    folded = fold_name(component)
    if not any("A" <= letter <= "Z" for letter in folded):
        return folded
    for pattern, to in _RULES:
        folded = pattern.sub(to, folded)
    return _A_LEADING_VOWEL.sub("A", folded)


def sound_key(name: str) -> str:
    """Return the keys of family and given name, "^" between, of a PN's first group that has any.

    Middle name, prefix and suffix are not heard. "" where nothing of the name is left.
    """
    group = next((group for group in name.split("=") if group.strip("^ ")), "")
    family, given = [*map(sound_of, group.split("^")), "", ""][:2]
    return f"{family}^{given}" if family or given else ""
