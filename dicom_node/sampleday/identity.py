"""The invented people of a day, and identifiers that a seed always yields again."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

_NAMESPACE = uuid.UUID("5ad0be94-63c2-5c1b-9a39-6ce1f5a83c07")

# The first people of every day: names with accents, hyphens, an apostrophe and a particle.
_KNOWN = [
    ("Lefèvre", "Hélène", "F"), ("D'Angély", "Noël", "M"), ("Garçon-Müller", "Zoé", "F"),
    ("Le Goff", "Gaëlle", "F"), ("Béraud", "François", "M"), ("Castañer", "Inès", "F"),
    ("Rouvière", "André", "M"), ("Çelik", "Anaïs", "F"), ("Saint-Éloi", "Jérôme", "M"),
    ("Giraud", "Marie-Thérèse", "F"),
]  # fmt: skip
_FAMILY = [
    "Martin", "Bernard", "Dubois", "Fabre", "Roux", "Blanc", "Guérin", "Aubert", "Meunier",
    "Brémond", "Arnaud", "Gautier", "Ollivier", "Pélissier", "Reynaud", "Maurel", "Bonnefoy",
    "Ségur", "Vidal", "Jourdan", "Féraud", "Maître", "Hébert", "Desprès", "Peyrusse", "Clément",
]  # fmt: skip
_GIVEN = {
    "F": ["Élise", "Claire", "Aurélie", "Françoise", "Jeanne", "Agnès", "Léa", "Michèle", "Odile"],
    "M": ["Rémi", "Luc", "Gérard", "Théo", "Benoît", "Étienne", "Paul", "Stéphane", "Marcel"],
}
_MORE_GIVEN = {
    "F": ["Camille", "Nathalie", "Sandrine", "Valérie", "Fatima", "Yasmine", "Océane", "Maëlle",
          "Chantal", "Monique", "Solène", "Pauline", "Inaya", "Marguerite", "Anne", "Lucie"],
    "M": ["Nicolas", "Karim", "Mohamed", "Frédéric", "Loïc", "Gaël", "Hugo", "Émile", "Jean",
          "Michel", "Thierry", "Raphaël", "Sébastien", "Yves", "Antoine", "Bruno"],
}  # fmt: skip
# Syllables of French family names: Bonnard, Chabaud, Delorme, Ferrier, Vialette...
_BEGINNINGS = [
    "Ba", "Bé", "Bo", "Bru", "Ca", "Cha", "Che", "Co", "Cour", "Da", "De", "Du", "Es", "Fa",
    "Fe", "Fo", "Ga", "Gi", "Gou", "Gué", "Jo", "La", "Le", "Lou", "Ma", "Mé", "Mo", "Na", "Or",
    "Pa", "Pé", "Pou", "Ra", "Ri", "Ro", "Sa", "Ser", "Ta", "Va", "Vi",
]  # fmt: skip
_MIDDLES = [
    "", "b", "ch", "d", "ll", "l", "mm", "nn", "n", "r", "rr", "ss", "t", "v", "z", "lan",
    "mar", "nar", "rel", "ril", "sel", "ton", "ver", "vil",
]  # fmt: skip
_ENDINGS = [
    "ard", "aud", "eau", "el", "elle", "et", "ette", "ier", "ière", "in", "on", "ot", "ou",
    "and", "an", "ais", "ois", "eux", "ert", "ac", "ade", "as", "é", "y",
]  # fmt: skip
REFERRERS = ["Rousset^Aimé^^Dr", "Bouchard^Cécile^^Dr", "Nguyên^Minh^^Dr", "Pascal^Bérengère^^Dr"]
SERVICES = ["Urgences", "Pneumologie", "Gastro-entérologie", "Orthopédie", "Médecine interne"]


@dataclass(frozen=True)
class Patient:
    """One invented person with a permanent identifier."""

    patient_id: str
    name: str
    sex: str
    birth_date: date
    size_m: float
    weight_kg: float

    def age_at(self, day: date) -> str:
        """Return the age as DICOM writes it: 054Y."""
        before = (day.month, day.day) < (self.birth_date.month, self.birth_date.day)
        return f"{day.year - self.birth_date.year - before:03d}Y"


def patient(number: int, seed: int) -> Patient:
    """Return the `number`-th person (from 0) of the hospital that `seed` describes."""
    rng = np.random.default_rng([seed, 1, number])
    family, given, sex = _KNOWN[number] if number < len(_KNOWN) else _drawn(rng)
    size_m = round(float(rng.normal(1.63 if sex == "F" else 1.75, 0.06)), 2)
    return Patient(
        patient_id=f"FR-{10_000 + 137 * number + seed % 100:07d}",
        name=f"{family}^{given}",
        sex=sex,
        birth_date=date(1921, 1, 1) + timedelta(days=int(rng.integers(0, 29_000))),
        size_m=size_m,
        weight_kg=round(float(size_m**2 * rng.uniform(19, 30)), 1),
    )


def _drawn(rng: np.random.Generator) -> tuple[str, str, str]:
    sex = str(rng.choice(["F", "M"]))
    return str(rng.choice(_FAMILY)), str(rng.choice(_GIVEN[sex])), sex


def drawn_name(rng: random.Random) -> tuple[str, str]:
    """Return (a name as PN, sex) out of thousands of names, now and then a double one."""
    sex = rng.choice("FM")
    family = rng.choice(_KNOWN)[0] if rng.random() < 0.05 else _made_family(rng)
    if rng.random() < 0.1:
        family = f"{family}-{_made_family(rng)}"
    given = rng.choice(_GIVEN[sex] + _MORE_GIVEN[sex])
    if rng.random() < 0.2:
        given = f"{given}-{rng.choice(_GIVEN[sex])}"
    return f"{family}^{given}", sex


def _made_family(rng: random.Random) -> str:
    return rng.choice(_BEGINNINGS) + rng.choice(_MIDDLES) + rng.choice(_ENDINGS)


def uid(*parts: object) -> str:
    """Return a UID under 2.25 (PS3.5 B.2), the same whenever the parts are."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(map(str, parts))).int}"
