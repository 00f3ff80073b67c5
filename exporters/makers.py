"""What made the sound of a box, as far as the box, its call type and the reports of its time tell: for lists of sounds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from podcast.model import Annotation, Session, Sighting
from podcast.vocabulary import Source, dclde_ecotype, of_dclde, of_pods_ai, source


def maker(session: Session, item: Annotation) -> Source | None:
    """The source of a box, None for a label that the vocabulary does not have.

    An orca that the label does not tell apart is the kind that alone makes its call type, else the one kind of orca that was
    reported at that time.
    """
    found = source(item.label)
    if found is None or not found.is_orca or found.dclde_ecotype != "NA":
        return found
    if (ecotype := dclde_ecotype(item.label, item.call_type)) != "NA":
        return of_dclde("KW", ecotype)
    told = {kind.key: kind for near in reports(session, item) if (kind := of_pods_ai(near.category)) and kind.is_orca}
    return next(iter(told.values())) if len(told) == 1 else found


def tag_of(found: Source) -> str:
    """How a source is tagged: a species by orcasite's tag, any other by its key, since orcasite's tags of those name one of many:
    another animal need not be a sea lion."""
    return found.tags[0] if found.aphia_id is not None and found.tags else found.key


def reports(session: Session, item: Annotation) -> Iterator[Sighting]:
    """The reports of the time of a box."""
    if (start := session.recording.start) is None:
        return
    first, last = start + timedelta(seconds=item.event.start_s), start + timedelta(seconds=item.event.end_s)
    for sighting in session.sightings:
        if sighting.start < last and first < sighting.end:
            yield sighting
