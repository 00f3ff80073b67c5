"""The registry of models: a folder anywhere storage reaches, with one model a folder, and which of them is in service.

    REGISTRY/energy-0123456789ab/      a model (detectors/model_folder.py), never changed
    REGISTRY/promotions/00000001.json  one file a promotion; the highest says what is in service
    REGISTRY/verdicts/energy-….json    what the gate said of a model
    REGISTRY/splits.json               which sessions were ever for the test

There is no clock and no random number in it: the same work gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.model_folder import CONFIG, Model, read_model
from podcast import storage
from podcast.errors import InputError, NotFoundError, Refusal
from podcast.parallel import in_order
from podcast.reading import parse_json

if TYPE_CHECKING:
    from podcast.settings import Settings

NAME = re.compile(r"[a-z0-9-]+-[0-9a-f]{12}")
PROMOTIONS, VERDICTS, SPLITS = "promotions", "verdicts", "splits.json"
GATE, MAINTAINER, ROLLBACK = "gate", "maintainer", "rollback"


@dataclass(frozen=True, slots=True)
class Promotion:
    """What is in service from here on: a model's name, or None for the setting ML_DETECTOR; `before` is what served until then.

    `by` is "gate", "maintainer" or "rollback".
    """

    number: int
    model: str | None
    before: str | None
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate said of a model: whether it may serve, why in a sentence, and the figures that this rests on."""

    promoted: bool
    reason: str
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class Registry:
    """The registry in the folder `uri`, which need not exist yet. Raises InputError for an address that no model could have."""

    uri: str

    def __post_init__(self) -> None:
        if "," in self.uri:
            raise InputError(
                f"ML_REGISTRY: {self.uri} has a comma in it, after which a detector's options begin; name another folder"
            )

    def add(self, folder: Path) -> Model:
        """Take over a finished run's folder. The same content again is the same model, and nothing is written.

        What a killed `add` has left is completed. Raises InputError if the folder holds no model, or a file of it is damaged.
        """
        try:
            made = read_model(str(folder))
        except NotFoundError as error:
            raise InputError(f"{folder}: holds no finished model, {CONFIG} is missing") from error
        storage.tidy(self.uri)
        place = storage.join(self.uri, made.name)
        if not storage.exists(storage.join(place, CONFIG)):
            for file in made.files:
                storage.write(storage.join(place, file), made.read(file))
            storage.write(storage.join(place, CONFIG), (folder / CONFIG).read_bytes())
        return self._model(made.name)

    def models(self) -> list[Model]:
        """All models, in the order of their names; what `found` refuses is left out."""
        return [model for model in self.found() if isinstance(model, Model)]

    def found(self) -> Iterator[Model | Refusal]:
        """All models in the order of their names, and a refusal for each whose `config.json` is damaged."""

        def one(name: str) -> Model | Refusal | None:
            try:
                return self._model(name)
            except NotFoundError:  # half-written: no model yet
                return None
            except InputError as error:
                return Refusal(name, str(error))

        yield from filter(None, in_order(one, self._names(), storage.AT_ONCE, storage.AT_ONCE))

    def get(self, name: str) -> Model:
        """The model of this name; a beginning that no other name has will do. Raises InputError if there is none."""
        try:
            if NAME.fullmatch(name):
                return self._model(name)
        except NotFoundError:
            pass
        fitting = [one for one in self._names() if one.startswith(name)]
        if len(fitting) > 1:
            raise InputError(f"{name} is the beginning of several models: {', '.join(fitting[:5])}; name more of it")
        try:
            return self._model(fitting[0])
        except (IndexError, NotFoundError) as error:
            raise InputError(f"there is no model {name} in {self.uri}; `podcast models` lists them") from error

    def in_service(self) -> str | None:
        """The promoted model's name; None if nothing was promoted, so that ML_DETECTOR serves. One listing of a small folder."""
        last = self.last_promotion()
        return last.model if last else None

    def last_promotion(self) -> Promotion | None:
        """The promotion that is in force."""
        places = self._promotions()
        return _promotion(places[-1]) if places else None

    def history(self) -> list[Promotion]:
        """All promotions, the oldest first."""
        return [_promotion(place) for place in self._promotions()]

    def promote(self, name: str, by: str, why: str, after: int | None = None) -> Promotion:
        """Put a model into service; if it is there already, nothing is written.

        `after` is the number of the last promotion (0: of none) that whoever decided this knew of. Raises InputError for a model
        that is not there or damaged, for one that the gate refused without a `why`, and if somebody else promoted meanwhile.
        """
        model, past = self.get(name), self.history()
        if past and past[-1].model == model.name:
            return past[-1]
        if after is not None and after != len(past):
            raise self._overtaken(past[-1] if past else None)
        verdict = self.verdict(model.name)
        if verdict and not verdict.promoted and by != GATE and not why.strip():
            raise InputError(f"{model.name}: the gate refused it: {verdict.reason}; say why it is to serve all the same")
        model.check()
        return self._put(past, model.name, by, why)

    def rollback(self, why: str) -> Promotion:
        """Back to what served before the model in service, possibly to ML_DETECTOR. Raises InputError if nothing was promoted."""
        past = self.history()
        served: list[str | None] = [None]
        for one in past:
            if one.by == ROLLBACK:
                served.pop()
            else:
                served.append(one.model)
        if len(served) == 1:
            raise InputError(f"{self.uri}: no promotion is in force that could be taken back")
        if served[-2] is not None:
            self.get(served[-2]).check()
        return self._put(past, served[-2], ROLLBACK, why)

    def record_verdict(self, name: str, verdict: Verdict) -> None:
        """Keep what the gate said of a model, in place of what it said before."""
        content = json.dumps(asdict(verdict), indent=1, sort_keys=True) + "\n"
        storage.write(storage.join(self.uri, VERDICTS, f"{self.get(name).name}.json"), content.encode())

    def verdict(self, name: str) -> Verdict | None:
        """What the gate said of a model last; None if it was never asked."""
        place = storage.join(self.uri, VERDICTS, f"{name if NAME.fullmatch(name) else self.get(name).name}.json")
        try:
            whole = parse_json(storage.read(place), place)
            return Verdict(bool(whole["promoted"]), str(whole["reason"]), dict(whole["figures"]))
        except NotFoundError:
            return None
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{place}: holds no verdict ({error})") from error

    def _model(self, name: str) -> Model:
        model = read_model(storage.join(self.uri, name))
        if model.name != name:
            raise InputError(f"{model.uri}/{CONFIG}: changed after the model was made, its content is that of {model.name}")
        return model

    def _names(self) -> list[str]:
        try:
            names = [storage.file_name(folder) for folder in storage.list_folders(self.uri)]
        except NotFoundError:
            return []
        return sorted(name for name in names if NAME.fullmatch(name))

    def _promotions(self) -> list[str]:
        """The addresses of all promotions, the oldest first. Raises InputError if one is missing between others."""
        folder = storage.join(self.uri, PROMOTIONS)
        try:
            places = [place for place in storage.list_files(folder) if re.fullmatch(r"\d{8}\.json", storage.file_name(place))]
        except NotFoundError:
            return []
        if places and int(storage.stem(places[-1])) != len(places):
            raise InputError(
                f"{folder}: {len(places)} promotions, and the last is {storage.file_name(places[-1])}: one is missing"
            )
        return places

    def _put(self, past: list[Promotion], model: str | None, by: str, why: str) -> Promotion:
        """Take the next number. Raises InputError if another process has taken it in this moment."""
        made = Promotion(len(past) + 1, model, past[-1].model if past else None, by, why)
        content = json.dumps(asdict(made), indent=1, sort_keys=True) + "\n"
        if not storage.replace(storage.join(self.uri, PROMOTIONS, f"{made.number:08}.json"), None, content.encode()):
            raise self._overtaken(self.last_promotion())
        return made

    def _overtaken(self, last: Promotion | None) -> InputError:
        now = f"{last.model or 'ML_DETECTOR'} is in service by promotion {last.number}" if last else "nothing is promoted"
        return InputError(
            f"{self.uri}: somebody else promoted meanwhile, {now}; look at it, and promote again if it is still right"
        )


def spec_in_service(settings: Settings) -> str:
    """What `load_detector` is to load wherever nothing else is named: the promoted model, else the setting ML_DETECTOR."""
    registry = Registry(settings.ml_registry)
    name = registry.in_service()
    if name is None:
        return settings.ml_detector
    path = storage.local_path(registry.uri)  # absolute, for processes that work in other folders
    return f"model:{storage.join(str(path.absolute()) if path else registry.uri, name)}"


def _promotion(place: str) -> Promotion:
    """A promotion, which is never changed once it is written. Raises InputError for a file that holds none."""
    content = _fetched(place) if storage.local_path(place) is None else storage.read(place)
    whole = parse_json(content, place)
    try:
        model, before = (None if whole[name] is None else str(whole[name]) for name in ("model", "before"))
        made = Promotion(int(whole["number"]), model, before, str(whole["by"]), str(whole["why"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{place}: holds no promotion ({error})") from error
    if any(name is not None and not NAME.fullmatch(name) for name in (model, before)):
        raise InputError(f"{place}: expected names of models, not {model!r} and {before!r}")
    return made


@lru_cache(maxsize=1024)
def _fetched(place: str) -> bytes:
    """A file of a cloud, asked for once: every worker looks every few seconds what is in service."""
    return storage.read(place)
