"""The coordinator's page: one HTML file that holds its pictures, and needs no server. The same content gives the same bytes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure

from evaluation.agreement import Measure
from evaluation.edits import EditRow
from evaluation.plot import plot_calibration, png
from planning.report import RoundFacts
from podcast.model import ReviewState
from podcast.vocabulary import source

ANSWERS, OTHER = "#0b7285", "#868e96"
STATES = {
    ReviewState.CALLS: "calls",
    ReviewState.NO_CALLS: "no calls",
    ReviewState.UNSURE: "not sure",
    ReviewState.SKIPPED: "skipped",
    ReviewState.UNREVIEWED: "not yet answered",
}
DAYS = 60
"""As many of the last days with answers have room in a picture and a table."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that is part of the page, and its words for those who do not see it."""

    src: str
    alt: str


def page(rounds: Sequence[RoundFacts]) -> str:
    """The page about these rounds."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "interval": _interval, "hours": _hours}
    with rc_context({"text.parse_math": False}):  # a dollar sign in a name is a dollar sign
        described = [_described(facts) for facts in rounds]
    return environment.get_template("report.html").render(rounds=described)


def _described(facts: RoundFacts) -> dict[str, object]:
    edits = list(facts.edit_rows())
    days = sorted(facts.days)[-DAYS:]
    calibrations = list(facts.calibrations())
    agreed = list(facts.agreement.measures())
    return {
        "facts": facts,
        "states": [(words, facts.states[state]) for state, words in STATES.items()],
        "days": [(day, facts.days[day]) for day in days],
        "days_picture": _days(facts, days),
        "edits": [row for day, row in edits if day is None],
        "edits_by_day": [(day, row) for day, row in edits if day in days],
        "edits_picture": _edits([(day, row) for day, row in edits if day is not None and day in days]),
        "calibrations": calibrations,
        "calibration_pictures": [
            Picture(_data(plot_calibration(found)), f"{version}: the share of boxes on a call, by their confidence")
            for version, _, found in calibrations
        ],
        "alpha": next((item for item in agreed if not item.annotators), None),
        "pairs": [item for item in agreed if item.name == "event_f1_0.5"],
        "blind": facts.blind.report(),
        "sea": facts.sea.rows(),
        "sounds": facts.sounds.most_common(),
        "sounds_picture": _sounds(facts),
        "again": facts.look_again(),
    }


def _days(facts: RoundFacts, days: Sequence[date]) -> Picture | None:
    if not days:
        return None
    figure = Figure(figsize=(7, 2.4), layout="constrained")
    axes = figure.add_subplot(ylabel="answers", title="Answers by day (Pacific)")
    axes.bar([f"{day:%b %-d}" for day in days], [facts.days[day] for day in days], color=ANSWERS)
    _few_ticks(axes, len(days))
    return Picture(_data(png(figure)), f"answers by day, {days[0]} to {days[-1]}")


def _edits(rows: Sequence[tuple[date, EditRow]]) -> Picture | None:
    """Edits a minute by day, a line for each model version, with what an empty page would have taken as a dotted one."""
    if not rows:
        return None
    days = sorted({day for day, _ in rows})
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.add_subplot(ylabel="edits a minute", title="What people changed, by day of the answer")
    for number, version in enumerate(sorted({row.name for _, row in rows})):
        own = [(days.index(day), row) for day, row in rows if row.name == version]
        at, found = [place for place, _ in own], [row.edits for _, row in own]
        axes.plot(at, [item.a_minute or 0 for item in found], "o-", color=f"C{number}", label=version)
        axes.plot(at, [item.from_nothing or 0 for item in found], ":", color=f"C{number}")
    axes.set_ylim(bottom=0)
    axes.set_xticks(range(len(days)), [f"{day:%b %-d}" for day in days])
    _few_ticks(axes, len(days))
    axes.legend(fontsize=7, title="dotted: from an empty page", title_fontsize=7)
    return Picture(_data(png(figure)), "edits a minute by day and model version")


def _few_ticks(axes: object, days: int) -> None:
    """At most a dozen days are named."""
    step = -(-days // 12)
    for number, label in enumerate(axes.get_xticklabels()):  # type: ignore[attr-defined]
        label.set_visible(number % step == 0)


def _sounds(facts: RoundFacts) -> Picture | None:
    if not facts.sounds:
        return None
    names = [name for name, _ in facts.sounds.most_common()][::-1]
    figure = Figure(figsize=(7, 1.2 + 0.3 * len(names)), layout="constrained")
    axes = figure.add_subplot(xlabel="boxes", title="What was found")
    colours = [found.colour if (found := source(name)) else OTHER for name in names]
    axes.barh([name[:40] for name in names], [facts.sounds[name] for name in names], color=colours)
    return Picture(_data(png(figure)), "boxes by what made the sound")


def _data(content: bytes) -> str:
    return f"data:image/png;base64,{b64encode(content).decode()}"


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _interval(found: EditRow | Measure, digits: int = 1) -> str:
    low, high = (found.low, found.high) if isinstance(found, Measure) else (found.interval or (None, None))
    return "" if low is None or high is None else f"{low:.{digits}f} to {high:.{digits}f}"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
