"""The sounds of "How orca calls look and sound": what each is, and whose; docs/label-studio-addon.md tells how they were made."""

from __future__ import annotations

from dataclasses import dataclass

DFO = "Fisheries and Oceans Canada, Open Government Licence - Canada 2.0"


@dataclass(frozen=True, slots=True)
class Example:
    """A sound with its picture, both in `static/sounds` under `name`."""

    name: str
    title: str
    words: str
    source: str
    call: bool = True


EXAMPLES = (
    Example("call-s01", "Call S01, J pod", "Rising lines, one above the other like the rungs of a ladder.", DFO),
    Example("call-s04", "Call S04, J pod", "A buzzing call: many lines close together, all level.", DFO),
    Example("call-s16", "Call S16, K and L pods", "A few strong lines, nearly level, well apart.", DFO),
    Example(
        "humpback",
        "Humpback whale",
        "Not an orca: slower, lower, its lines near the bottom.",
        "Orcasound, MIT licence",
        call=False,
    ),
    Example(
        "ship",
        "Ship",
        "Not an orca: noise from bottom to top that throbs. This one is computed.",
        "made for this page",
        call=False,
    ),
)
