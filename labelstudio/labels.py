"""What `label_config.xml` means: the one place that names labels, read as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, TreeBuilder, XMLParser

from podcast.errors import InputError
from podcast.model import Certainty, ReviewState

Meaning = TypeVar("Meaning", Certainty, ReviewState)
RECORDING = "recording"
"""The field of a task's data with the recording's own address, where the page plays a listening copy of it (docs/adr/0095)."""
LABEL_CONFIG_PATH = Path(__file__).parents[1] / "label_config.xml"


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """The names of the controls (`audio_field` is what the page plays of a task's data), and labels and answers as records."""

    xml: str
    audio: str
    audio_field: str
    regions: str
    labels: Mapping[str, tuple[str, Certainty]]
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
        return cls(
            xml=xml,
            audio=attribute(audio, "name"),
            audio_field=audio.get("value", "").removeprefix("$"),
            regions=attribute(regions, "name"),
            labels={
                value: (label.get("means", value), meaning(label, "certainty", Certainty, Certainty.CERTAIN))
                for value, label in values(regions, "Label").items()
            },
            review=attribute(review, "name"),
            answers={
                name: meaning(choice, "reviewState", ReviewState, ReviewState.UNSURE)
                for value, choice in values(review, "Choice").items()
                for name in (value, *filter(None, [choice.get("before")]))
            },
            call_type=named("Choices", per_region=True),
            note=named("TextArea", per_region=True),
            session_note=named("TextArea", per_region=False),
            heard="heard" if any(element.get("name") == "heard" for element in root.iter("TextArea")) else "",
        )

    @classmethod
    def load(cls, path: Path = LABEL_CONFIG_PATH) -> LabelConfig:
        """Read the project's own labeling configuration."""
        return cls.parse(path.read_text(encoding="utf-8"), str(path))

    @property
    def controls(self) -> dict[str, str]:
        """The type that Label Studio gives to what each control stores, by the control's name."""
        texts = {name: "textarea" for name in (self.note, self.session_note, self.heard) if name}
        return {self.regions: "labels", self.review: "choices", self.call_type: "choices", **texts}

    def recording_field(self, data: Mapping[str, Any]) -> str:
        """Which field of a task's data names the recording: its own, or what the page plays where that is no copy."""
        return RECORDING if data.get(RECORDING) else self.audio_field

    def label_value(self, label: str, certainty: Certainty) -> str:
        """The label as the page names it. Raises InputError for one that the configuration does not have."""
        for value, meaning in self.labels.items():
            if meaning == (label, certainty):
                return value
        known = sorted({name for name, _ in self.labels.values()})
        raise InputError(f"label {label!r} ({certainty}) is not in label_config.xml; expected one of {known}")

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
