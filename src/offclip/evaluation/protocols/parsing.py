"""The keys of a protocol file, checked one by one, become a Protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, get_args, get_type_hints

from offclip.data.datasets.catalogue import NAMES, card_of
from offclip.data.datasets.label_map import label_table
from offclip.errors import ConfigError
from offclip.evaluation.protocols.groups import check_group
from offclip.evaluation.protocols.protocol import ClassRule, GroundingRule, Protocol, Validation
from offclip.evaluation.protocols.rules import EXCLUSIONS, EXTRAS, LABEL_RULES

SPLITS = ("train", "validate", "test", "all")
_SHORT = 300


def make_protocol(file: str, stem: str, keys: Mapping[str, Any]) -> Protocol:
    """A protocol from the keys of its file.

    Args:
        file: What messages call the file.
        stem: Its name without the ending: the name of the protocol where the file gives none.
        keys: What stands in it.

    Raises:
        ConfigError: A key is unknown, or a value is not allowed.
    """
    keys = dict(keys)
    template = keys.pop("template", "")
    if not isinstance(template, str) or (template and not _filled(template, "x", "x")):
        raise ConfigError(f"{file}: template = {template!r}.", "Write it with {name} or {finding}.")
    values = {"name": stem, "title": stem, **keys}
    _check_keys(file, "", values, Protocol)
    dataset = str(values.get("dataset", ""))
    values["classes"] = _classes(file, values.get("classes", []), template, dataset)
    values["groups"] = _groups(file, values.get("groups", {}), values["classes"])
    for name, kind in (("validation", Validation), ("grounding", GroundingRule)):
        if name in values:
            values[name] = _record(file, name, values[name], kind)
    for name in ("exclude", "extras", "quirks"):
        if name in values:
            values[name] = _texts(file, name, values[name])
    protocol = _record(file, "", values, Protocol)
    _check_meaning(file, protocol)
    return protocol


def _check_meaning(file: str, protocol: Protocol) -> None:
    """Checks what the types do not say."""
    if not protocol.classes:
        raise ConfigError(f"{file}: there is no class.", "Give a list 'classes' of names.")
    if sum(rule.normal for rule in protocol.classes) > 1:
        raise ConfigError(f"{file}: more than one class is normal.", "Leave one of them.")
    if protocol.variant == "open":
        raise ConfigError(f"{file}: variant is missing or 'open'.", "Allowed: peer, clean.")
    _one_of(file, "split", protocol.split, SPLITS)
    _set_of(file, "dataset", protocol.dataset, protocol.option)
    if protocol.dataset or protocol.labels:
        _one_of(file, "labels", protocol.labels, LABEL_RULES)
    for rule in protocol.exclude:
        _one_of(file, "exclude", rule, EXCLUSIONS)
    for name in protocol.extras:
        _one_of(file, "extras", name, EXTRAS)
    if validation := protocol.validation:
        _set_of(file, "validation.dataset", validation.dataset, validation.option)
        _one_of(file, "validation.split", validation.split, ("train", "validate"))
        if validation.images < 0:
            raise ConfigError(f"{file}: validation.images is {validation.images}.", "Allowed: 0 and more.")
        if protocol.thresholds != "validation":
            raise ConfigError(
                f"{file}: validation is given, and thresholds = {protocol.thresholds!r} needs none.",
                "Leave [validation] out, or write thresholds = 'validation'.",
            )
    if (protocol.task == "grounding") != (protocol.grounding is not None):
        there = "there" if protocol.grounding else "not there"
        raise ConfigError(
            f"{file}: task is {protocol.task!r} and [grounding] is {there}.",
            "A protocol of the task 'grounding' says in [grounding] when a map hits; no other does.",
        )
    if protocol.grounding and protocol.grounding.tolerance < 0:
        raise ConfigError(
            f"{file}: grounding.tolerance is {protocol.grounding.tolerance}.", "Allowed: 0 and more."
        )


def _classes(file: str, entries: Any, template: str, dataset: str) -> tuple[ClassRule, ...]:
    if not isinstance(entries, list):
        raise ConfigError(f"{file}: classes is no list.", "Give names, or tables with 'name' and 'prompts'.")
    rules: list[ClassRule] = []
    for entry in entries:
        keys = {"name": entry} if isinstance(entry, str) else entry
        if not isinstance(keys, dict) or not isinstance(keys.get("name"), str) or not keys["name"].strip():
            raise ConfigError(f"{file}: classes: {entry!r} has no name.", "Give a name, or a table with one.")
        where = f"classes: {keys['name']}"
        _check_keys(file, where, keys, ClassRule)
        values: dict[str, Any] = dict(keys)
        for name in ("label", "unless", "prompts"):
            if name in values:
                values[name] = _texts(file, f"{where}: {name}", values[name])
        if not values.get("prompts"):
            prompt = _filled(template, keys["name"], _finding(keys["name"], values.get("label", ()), dataset))
            if not prompt:
                raise ConfigError(
                    f"{file}: {where}: there is no prompt.",
                    "Give 'prompts', or a 'template' for all classes.",
                )
            values["prompts"] = (prompt,)
        rule = _record(file, where, values, ClassRule)
        doubled = next((other for other in rules if _folded(other.name) == _folded(rule.name)), None)
        if doubled:
            raise ConfigError(f"{file}: the class {rule.name!r} stands in it twice.", "Leave one of them.")
        rules.append(rule)
    return tuple(rules)


def _folded(name: str) -> str:
    """A name as it is compared: tables spell one finding in several ways."""
    return " ".join(name.replace("_", " ").casefold().split())


def _filled(template: str, name: str, finding: str) -> str:
    """The prompt of a class; empty where the template names nothing or what it names is not known."""
    if "{finding}" in template and not finding:
        return ""
    if "{finding}" not in template and "{name}" not in template:
        return ""
    return template.replace("{finding}", finding).replace("{name}", name)


def _finding(name: str, labels: Sequence[str], dataset: str) -> str:
    """What offclip calls a class, by the table of labels or by its own name; empty where it is no finding."""
    table = label_table().get(dataset, {})
    word = next((table[known] for known in (name, *labels) if known in table), _folded(name))
    return "" if word.startswith("=") else word


def _groups(file: str, groups: Any, rules: Sequence[ClassRule]) -> dict[str, str]:
    if not isinstance(groups, dict) or not all(isinstance(rule, str) for rule in groups.values()):
        raise ConfigError(
            f"{file}: groups is no table of rules.", "Write [groups] and tail = 'positives <= 10'."
        )
    for group, rule in groups.items():
        try:
            check_group(rule, [member.name for member in rules])
        except ConfigError as error:
            raise ConfigError(f"{file}: groups.{group}: {error.message}", error.remedy) from error
    return groups


def _check_keys(file: str, where: str, keys: Mapping[str, Any], kind: type) -> None:
    known = [entry.name for entry in fields(kind)]
    unknown = next((key for key in keys if key not in known), None)
    if unknown is not None:
        place = f"{where}: " if where else ""
        also = ", template, extends, without, also" if kind is Protocol else ""
        raise ConfigError(f"{file}: {place}unknown key {unknown!r}.", f"Known: {', '.join(known)}{also}.")


def _record(file: str, where: str, keys: Any, kind: type) -> Any:
    """An instance of a dataclass from checked keys; every value must be of the type of its field."""
    if not isinstance(keys, dict):
        raise ConfigError(f"{file}: {where} is no table.", f"Write [{where}] and its keys below.")
    _check_keys(file, where, keys, kind)
    place = f"{where}." if where and kind is not ClassRule else f"{where}: " if where else ""
    hints = get_type_hints(kind)
    values = {}
    for name, value in keys.items():
        allowed = get_args(hints[name])
        if allowed and all(isinstance(choice, str) for choice in allowed):
            _one_of(file, f"{place}{name}", value, allowed)
        elif hints[name] in (str, bool, int, float):
            value = _plain(file, f"{place}{name}", value, hints[name])
        values[name] = value
    needed = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    for name in needed:
        if name not in values:
            raise ConfigError(f"{file}: {place}{name} is missing.", f"Needed: {', '.join(needed)}.")
    return kind(**values)


def _plain(file: str, key: str, value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        words = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
        raise ConfigError(f"{file}: {key} = {value!r} is of the wrong type.", f"Give {words[kind]}.")
    return value


def _texts(file: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
        raise ConfigError(f"{file}: {key} = {str(value)[:60]} is no list of texts.", 'Write ["a", "b"].')
    if len(set(value)) < len(value):
        raise ConfigError(f"{file}: {key} names {_doubled(value)!r} twice.", "Leave one of them.")
    return tuple(value)


def _doubled(values: Sequence[str]) -> str:
    return next(value for place, value in enumerate(values) if value in values[:place])


def _one_of(file: str, key: str, value: Any, allowed: Sequence[str] | Mapping[str, str]) -> None:
    if value not in tuple(allowed):
        raise ConfigError(f"{file}: {key} = {value!r} is not allowed.", f"Allowed: {', '.join(allowed)}.")


def _set_of(file: str, key: str, dataset: str, option: str) -> None:
    if not dataset:
        return
    _one_of(file, key, dataset, NAMES)
    if option:
        _one_of(file, key.replace("dataset", "option"), option, tuple(card_of(dataset).options))
