"""What `label_config.xml` means: the one place that names labels, read as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

from podcast.errors import InputError
from podcast.model import Certainty, ReviewState

Kind = TypeVar("Kind", Certainty, ReviewState)

LABEL_CONFIG_PATH = Path(__file__).parents[1] / "label_config.xml"


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """The names of the controls (`audio_field` is the key in a task's data), and labels and answers as records."""

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

    @classmethod
    def parse(cls, xml: str, source: str = "label_config.xml") -> LabelConfig:
        """Read the labeling configuration. Raises InputError naming `source` and the control that is missing."""
        try:
            root = ElementTree.fromstring(xml)
        except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter two for what it says of its encoding
            raise InputError(f"{source}: not XML ({error})") from error

        def control(tag: str, per_region: bool | None = None) -> ElementTree.Element:
            for element in root.iter(tag):
                if per_region in (None, element.get("perRegion") == "true"):
                    return element
            raise InputError(f"{source}: a <{tag}> {'with perRegion ' if per_region else ''}is missing")

        def attribute(element: ElementTree.Element, name: str) -> str:
            if value := element.get(name):
                return value
            raise InputError(f"{source}: a <{element.tag}> has no {name}")

        def meaning(kind: type[Kind], element: ElementTree.Element, name: str, otherwise: Kind) -> Kind:
            try:
                return kind(element.get(name, otherwise))
            except ValueError as error:
                expected = ", ".join(kind)
                raise InputError(f"{source}: {name} is {element.get(name)!r}; expected one of {expected}") from error

        audio, regions, review = control("Audio"), control("Labels"), control("Choices", per_region=False)
        return cls(
            xml=xml,
            audio=attribute(audio, "name"),
            audio_field=audio.get("value", "").removeprefix("$"),
            regions=attribute(regions, "name"),
            labels={
                attribute(label, "value"): (
                    label.get("means", attribute(label, "value")),
                    meaning(Certainty, label, "certainty", Certainty.CERTAIN),
                )
                for label in regions.iter("Label")
            },
            review=attribute(review, "name"),
            answers={
                attribute(choice, "value"): meaning(ReviewState, choice, "reviewState", ReviewState.UNSURE)
                for choice in review.iter("Choice")
            },
            call_type=attribute(control("Choices", per_region=True), "name"),
            note=attribute(control("TextArea", per_region=True), "name"),
            session_note=attribute(control("TextArea", per_region=False), "name"),
        )

    @classmethod
    def load(cls, path: Path = LABEL_CONFIG_PATH) -> LabelConfig:
        """Read the project's own labeling configuration."""
        return cls.parse(path.read_text(encoding="utf-8"), str(path))

    @property
    def controls(self) -> dict[str, str]:
        """The type that Label Studio gives to what each control stores, by the control's name."""
        texts = {self.note: "textarea", self.session_note: "textarea"}
        return {self.regions: "labels", self.review: "choices", self.call_type: "choices", **texts}

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
