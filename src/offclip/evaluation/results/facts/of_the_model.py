"""What is known of a model: its card, its training, the versions."""

from __future__ import annotations

from collections.abc import Mapping

from offclip.evaluation.results.facts.fact import CARD, RUN, Fact, listed
from offclip.evaluation.results.known import Known
from offclip.evaluation.results.reading import at, block, number, text, whole
from offclip.evaluation.results.wording import count


def technology(known: Known) -> Fact | None:
    """What kind of model it is."""
    architecture = text(known.card.get("architecture"))
    if not architecture:
        return None
    return Fact(f"Image-text (CLIP) model of the architecture {architecture}, asked by text prompts.", CARD)


def intended_use(known: Known) -> Fact | None:
    """What the card says of the intended use."""
    found = text(known.card.get("intended_use"))
    return Fact(found, CARD) if found else None


def model_description(known: Known) -> Fact | None:
    """Architecture, size and configuration."""
    architecture = text(known.card.get("architecture"))
    if not architecture:
        return None
    parameters = number(known.card.get("parameters"))
    size = f", {count(parameters)} parameters" if parameters else ""
    config = block(known.card, "config")
    # Whole configurations of other libraries are no sentence.
    configuration = listed({name: value for name, value in config.items() if not isinstance(value, Mapping)})
    return Fact(f"{architecture}{size}. {configuration}".strip(), CARD)


def preprocessing(known: Known) -> Fact | None:
    """What is done to an image before the model sees it."""
    found = block(known.card, "preprocess")
    return Fact(listed(found), CARD) if found else None


def software(known: Known) -> Fact | None:
    """Versions."""
    versions = dict(block(known.results, "run", "versions"))
    versions.setdefault("offclip", known.results.get("offclip"))
    told = ", ".join(f"{name} {version}" for name, version in versions.items() if text(version))
    trained = block(known.training, "environment")
    trained_with = ", ".join(
        f"{name} {trained[name]}" for name in ("offclip", "torch", "device") if name in trained
    )
    told += f". Trained with {trained_with}" if trained_with else ""
    return Fact(f"{told}.", RUN) if told else None


def initialisation(known: Known) -> Fact | None:
    """Where the weights began."""
    source = block(known.card, "source")
    if source:
        return Fact(f"Converted from published weights: {listed(source)}", CARD)
    loaded = text(known.card.get("source"))
    if loaded:
        untrained = text(known.card.get("untrained"))
        random = f" Not trained yet: {untrained}." if untrained else ""
        return Fact(f"Those that the name {loaded} stands for.{random}", RUN)
    if "seed" in known.recipe and not {"initial", "pretrained", "checkpoint"} & set(known.recipe):
        return Fact(f"Drawn at random with seed {known.recipe['seed']}; no pretrained weights.", CARD)
    return None


def training(known: Known) -> Fact | None:
    """The recipe."""
    return Fact(listed(known.recipe), CARD) if known.recipe else None


def selection(known: Known) -> Fact | None:
    """Which of the trained weights are reported."""
    epochs = whole(known.recipe.get("epochs"))
    if epochs is None:
        return None
    return Fact(f"The weights after the last of {epochs} epochs; none is chosen among several.", CARD)


def ensembling(known: Known) -> Fact | None:
    """How prompts and views are put together."""
    score = text(at(known.results, "normal", "score"))
    run = block(known.results, "run")
    told = [f"Reported normal score: '{score}'."] if score else []
    if run.get("unit") == "study" and text(run.get("fuse")):
        told.append(f"The views of a study are fused by: {run['fuse']}.")
    return Fact(" ".join(told), "tables/normal_scores") if told else None


def availability(known: Known) -> Fact | None:
    """Hash and licence of the weights, and the version of the software."""
    file, tensors = (text(at(known.card, "sha256", name)) for name in ("weights.safetensors", "tensors"))
    if not file and not tensors:
        return None
    licence = text(known.card.get("licence")) or "not stated"
    digest = f"SHA-256 {file}" if file else f"SHA-256 over all tensors {tensors}"
    return Fact(f"Weights: {digest}, licence: {licence}.", CARD if file else RUN)
