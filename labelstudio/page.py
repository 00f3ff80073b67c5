"""The pages that a round may have: the project's own, the presets that change it in `pages/`, or a file of the maintainer's."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from labelstudio.labels import LABEL_CONFIG_PATH, LabelConfig
from podcast import storage
from podcast.reading import decode

FIND_CALLS = "find-calls"
PRESETS = {path.stem: path for path in sorted((Path(__file__).parent / "pages").glob("*.xml"))}
NAMES = (FIND_CALLS, *PRESETS)
"""Short names of pages, as `--label-config` takes them."""


def page(name: str = FIND_CALLS) -> LabelConfig:
    """The page of this short name, or in the file at a path or URI, checked. Raises InputError for one that may not be used."""
    if name in PRESETS:
        found = LabelConfig.parse(_changed(PRESETS[name]), name)
    else:
        uri = str(LABEL_CONFIG_PATH) if name == FIND_CALLS else name
        found = LabelConfig.parse(decode(storage.read(uri), uri), uri)
    found.check(name)
    return found


def _changed(preset: Path) -> str:
    """`label_config.xml` with the controls of a preset in place of those of the same names; an empty one takes its control away.

    So the layout and its words are in one file, and a preset says what is different.
    """
    whole = ElementTree.fromstring(LABEL_CONFIG_PATH.read_text(encoding="utf-8"))
    new = {element.get("name"): element for element in ElementTree.fromstring(preset.read_text(encoding="utf-8"))}
    for parent in list(whole.iter()):
        for place, element in enumerate(list(parent)):
            if (change := new.pop(element.get("name"), None)) is not None:
                parent.remove(element)
                if len(change):
                    parent.insert(place, change)
    assert not new, f"{preset.name} changes {', '.join(map(str, new))}, which label_config.xml does not have"
    return ElementTree.tostring(whole, encoding="unicode")
