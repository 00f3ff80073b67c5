"""What `label_config.xml` means: the one place that names labels, read as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from podcast.errors import InputError
from podcast.model import Certainty, ReviewState

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
        except ElementTree.ParseError as error:
            raise InputError(f"{source}: not XML ({error})") from error

        def control(tag: str, per_region: bool | None = None) -> ElementTree.Element:
            for element in root.iter(tag):
                if per_region in (None, element.get("perRegion") == "true"):
                    return element
            raise InputError(f"{source}: a <{tag}> {'with perRegion ' if per_region else ''}is missing")

        audio, regions, review = control("Audio"), control("Labels"), control("Choices", per_region=False)
        return cls(
            xml=xml,
            audio=audio.attrib["name"],
            audio_field=audio.get("value", "").removeprefix("$"),
            regions=regions.attrib["name"],
            labels={
                label.attrib["value"]: (label.get("means", label.attrib["value"]), Certainty(label.get("certainty", "certain")))
                for label in regions.iter("Label")
            },
            review=review.attrib["name"],
            answers={
                choice.attrib["value"]: ReviewState(choice.get("reviewState", "unsure")) for choice in review.iter("Choice")
            },
            call_type=control("Choices", per_region=True).attrib["name"],
            note=control("TextArea", per_region=True).attrib["name"],
            session_note=control("TextArea", per_region=False).attrib["name"],
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
