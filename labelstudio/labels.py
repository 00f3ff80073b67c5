"""What `label_config.xml` means: the one place that names labels, read as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, TreeBuilder, XMLParser

from podcast.errors import InputError
from podcast.model import CALL, Certainty, ReviewState
from podcast.vocabulary import SOMETHING_ELSE, VOCABULARY_PATH, is_call, source, sources

Meaning = TypeVar("Meaning", Certainty, ReviewState)
RECORDING = "recording"
"""The field of a task's data with the recording's own address, where the page plays a listening copy of it (docs/adr/0095)."""
LABEL_CONFIG_PATH = Path(__file__).parents[1] / "label_config.xml"


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """The names of the controls (`audio_field` is what the page plays of a task's data), and labels and answers as records.

    `labels` maps what the page calls a label to the label of a box and its certainty. `choices` maps each control that says more
    of a box (which orca, which other sound) to the labels that its choices mean.
    """

    xml: str
    audio: str
    audio_field: str
    regions: str
    labels: Mapping[str, tuple[str, Certainty]]
    choices: Mapping[str, Mapping[str, str]]
    review: str
    answers: Mapping[str, ReviewState]
    call_type: str
    note: str
    session_note: str
    heard: str
    """Where the add-on keeps what was heard before an answer; empty in a configuration of before."""

    @classmethod
    def parse(cls, xml: str, source: str = "label_config.xml") -> LabelConfig:
        """Read the labeling configuration. Raises InputError naming `source`, and the element that is missing or wrong."""
        root = _root(xml, source)

        def control(tag: str, per_region: bool | None = None) -> Element:
            for element in root.iter(tag):
                if per_region in (None, element.get("perRegion") == "true"):
                    return element
            raise InputError(f"{source}: a <{tag}> {'with perRegion ' if per_region else ''}is missing")

        def attribute(element: Element, name: str) -> str:
            if not (value := element.get(name)):
                raise InputError(f"{source}: a <{element.tag}> has no {name}=")
            return value

        def named(tag: str, per_region: bool | None = None) -> str:
            return attribute(control(tag, per_region), "name")

        def values(parent: Element, tag: str) -> dict[str, Element]:
            found: dict[str, Element] = {}
            for element in parent.iter(tag):
                value = attribute(element, "value")
                if value in found:
                    raise InputError(f"{source}: two <{tag}> have the value {value!r}, which nobody could tell apart")
                found[value] = element
            return found

        def meaning(element: Element, name: str, kind: type[Meaning], default: Meaning) -> Meaning:
            given = element.get(name, default)
            if given not in list(kind):
                place = f"{source}: <{element.tag} value={element.get('value')!r}>"
                raise InputError(f"{place}: {name} is {given!r}, expected one of {', '.join(kind)}")
            return kind(given)

        audio, regions, review = control("Audio"), control("Labels"), control("Choices", per_region=False)
        of_box = [element for element in root.iter("Choices") if element.get("perRegion") == "true"]
        telling = [element for element in of_box if any(choice.get("means") for choice in element.iter("Choice"))]
        plain = [element for element in of_box if element not in telling]
        if not plain:
            raise InputError(f"{source}: a <Choices> with perRegion is missing, for call types")
        return cls(
            xml=xml,
            audio=attribute(audio, "name"),
            audio_field=audio.get("value", "").removeprefix("$"),
            regions=attribute(regions, "name"),
            labels={
                value: (label.get("means", value), meaning(label, "certainty", Certainty, Certainty.CERTAIN))
                for value, label in values(regions, "Label").items()
            },
            choices={
                attribute(element, "name"): {
                    value: choice.get("means", value) for value, choice in values(element, "Choice").items()
                }
                for element in telling
            },
            review=attribute(review, "name"),
            answers={
                name: meaning(choice, "reviewState", ReviewState, ReviewState.UNSURE)
                for value, choice in values(review, "Choice").items()
                for name in (value, *filter(None, [choice.get("before")]))
            },
            call_type=attribute(plain[0], "name"),
            note=named("TextArea", per_region=True),
            session_note=named("TextArea", per_region=False),
            heard="heard" if any(element.get("name") == "heard" for element in root.iter("TextArea")) else "",
        )

    @classmethod
    def load(cls, path: Path = LABEL_CONFIG_PATH) -> LabelConfig:
        """Read the project's own labeling configuration."""
        return cls.parse(path.read_text(encoding="utf-8"), str(path))

    def check(self, place: str = "label_config.xml") -> None:
        """Raise InputError, naming `place`, if page and vocabulary do not agree, or two things on the page have one key.

        A label that the vocabulary does not have would be no call, whatever it was meant to be.
        """
        told = [label for label, _ in self.labels.values()] + [
            label for means in self.choices.values() for label in means.values()
        ]
        if unknown := sorted({label for label in told if source(label) is None}):
            names = ", ".join(repr(item.name) for item in sources())
            raise InputError(
                f"{place}: {unknown[0]!r} is no name of {VOCABULARY_PATH.name}, so nobody could tell whether it is a call; "
                f"expected one of {names}. Say what it means with means=, or add it to the table"
            )
        if (CALL, Certainty.CERTAIN) not in self.labels.values():
            raise InputError(f"{place}: no <Label> means {CALL!r}, which is what detectors find")
        keys = [key for element in _root(self.xml, place).iter() if (key := element.get("hotkey"))]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise InputError(f"{place}: two things have the key {twice[0]!r}")

    def means_the_same(self, other: LabelConfig) -> bool:
        """Whether two pages differ in layout and words alone."""
        return replace(self, xml="") == replace(other, xml="")

    @property
    def controls(self) -> dict[str, str]:
        """The type that Label Studio gives to what each control stores, by the control's name."""
        texts = {name: "textarea" for name in (self.note, self.session_note, self.heard) if name}
        choices = dict.fromkeys((self.review, self.call_type, *self.choices), "choices")
        return {self.regions: "labels", **choices, **texts}

    def recording_field(self, data: Mapping[str, Any]) -> str:
        """Which field of a task's data names the recording: its own, or what the page plays where that is no copy."""
        return RECORDING if data.get(RECORDING) else self.audio_field

    def label_value(self, label: str, certainty: Certainty) -> str:
        """The label as the page names it; `choice_of` may say more. Raises InputError for one that the page cannot say."""
        general = CALL if is_call(label) else SOMETHING_ELSE
        for wanted in (label, general) if self.choice_of(label) else (label,):
            for value, meaning in self.labels.items():
                if meaning == (wanted, certainty):
                    return value
        known = sorted({name for name, _ in self.labels.values()}.union(*(means.values() for means in self.choices.values())))
        raise InputError(f"label {label!r} ({certainty}) is not on the round's page; expected one of {known}")

    def choice_of(self, label: str) -> tuple[str, str] | None:
        """The control and the choice by which the page says this label of a box, None where a <Label> does."""
        if any(label == own for own, _ in self.labels.values()):
            return None
        found = ((name, value) for name, means in self.choices.items() for value, meant in means.items() if meant == label)
        return next(found, None)

    def answer_value(self, state: ReviewState) -> str | None:
        """The session-level answer that gives `state`, None where boxes or Skip say it."""
        return next((value for value, answer in self.answers.items() if answer is state), None)


class _NoDoctype(TreeBuilder):
    """Refuses a DOCTYPE: entities of a few lines fill any memory, and no labeling configuration needs one."""

    def doctype(self, *_: object) -> None:
        """Called at a DOCTYPE, before its entities are read."""
        raise InputError("a DOCTYPE is not read")


def _root(xml: str, source: str) -> Element:
    try:
        return ElementTree.fromstring(xml, XMLParser(target=_NoDoctype()))
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter two for what it says of its encoding
        raise InputError(f"{source}: not XML ({error})") from error
