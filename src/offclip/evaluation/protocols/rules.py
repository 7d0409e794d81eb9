"""The names that a protocol may use, with what they mean."""

from __future__ import annotations

from collections.abc import Mapping

# How the truth of an image is made from the labels of its set.
LABEL_RULES: Mapping[str, str] = {
    "as-labelled": "the set's labels as they are; uncertain and not mentioned stay unknown",
    "absent-unless-present": "a label that is not 1 is 0, be it uncertain or not mentioned",
    "consistent": "as labelled, but a normal image that shows one of the findings is of unknown normality",
    "openi-coded-terms": (
        "the terms that human coders gave the report: a class is present where a term begins with one of its "
        "labels, a term and parts of it after '/' being compared whole"
    ),
    "padchest-manual": (
        "manual_image.json (image name -> list of labels) where it lies below the root, else the rows of the "
        "official table that physicians labelled; a label that is not in the list is absent"
    ),
    "chexpert-5x200-list": "the five columns of chexpert_5x200.csv, the list that GLoRIA drew",
    "chexpert-5x200-drawn": (
        "200 frontal training films a class that have this label alone of the fourteen, one a patient, in "
        "the order of a hash of their ids"
    ),
}

# Which cases are left out, from the truth alone.
EXCLUSIONS: Mapping[str, str] = {
    "no-class-present": "all classes are 0",
    "no-label": "all classes are unknown",
    "not-exactly-one-class": "no class or more than one is 1",
}

# Measures beside those that every protocol has.
EXTRAS: Mapping[str, str] = {
    "argmax-accuracy": "share of images whose largest score is that of their class",
    "rounded-softmax-accuracy": "for each class, how often the rounded softmax of the scores is its label",
    "argmax-f1": "micro, macro and weighted F1 of one class an image, the one with the largest score",
}
