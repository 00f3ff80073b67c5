"""Settings from the environment or `.env`, read once by the command line and by the web server's entry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from podcast import redact
from podcast.errors import InputError


def _server(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and url.isprintable()
            and " " not in url
        )
    except ValueError:  # what urlsplit and its port raise
        good = False
    if url and not good:
        raise ValueError("expected an address such as http://127.0.0.1:8080")
    return url


def _key(key: str) -> str:
    if not (key.isascii() and key.isprintable()):
        raise ValueError("expected a token of plain letters, digits and signs, without line ends")
    return key


ServerUrl = Annotated[str, AfterValidator(_server)]
Key = Annotated[str, AfterValidator(_key)]


class Settings(BaseSettings):
    """Every setting of the project; the name in the environment is the field's name in capitals."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    label_studio_url: ServerUrl = "http://127.0.0.1:8080"
    label_studio_api_key: Key = ""
    label_studio_local_files_document_root: Path | None = Field(
        default=None, description="Label Studio's own setting: the folder below which it serves audio to the page"
    )
    ml_backend_url: ServerUrl = ""
    ml_detector: str = "energy"
    ml_registry: str = Field(default=".podcast/models", description="The registry of models; what is promoted there serves")
    ml_queue: str = Field(
        default=".podcast/queue.db", description="Where trainings wait: a path, or redis://… for several machines"
    )
    ml_host: str = "127.0.0.1"
    ml_port: int = Field(default=9090, ge=0, le=65535)
    ml_workers: int = Field(default=2, gt=0, description="Processes of the ML backend")
    ml_threads: int = Field(default=4, gt=0, description="Requests that each of them answers at a time")
    ml_cache_dir: Path = Path(".podcast/cache")
    ml_cache_max_entries: int = Field(default=100_000, gt=0)
    audio_max_samples: int = Field(default=360_000_000, gt=0, description="Of one recording; an hour of stereo at 48 kHz")
    audio_prefixes: str = Field(
        default="", description="Where tasks may name cloud audio, separated by commas; else where the round's storages point"
    )
    audio_signing_key: str = ""
    ml_audio_max_bytes: int = Field(default=256 * 2**20, gt=0)
    ml_audio_timeout_s: float = Field(default=20.0, gt=0)
    ml_audio_max_samples: int = Field(default=60_000_000, gt=0, description="That one worker holds at a time, in all recordings")
    ml_predict_budget_s: float = Field(default=80.0, gt=0, description="Label Studio hangs up on a prediction after 100 s")
    ml_edits_every_s: float = Field(
        default=900.0, gt=0, description="How often at most Label Studio is asked what people changed, for /metrics"
    )
    ml_basic_auth_user: str = ""
    ml_basic_auth_password: str = ""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """`audio_prefixes`, taken apart."""
        return tuple(filter(None, map(str.strip, self.audio_prefixes.split(","))))

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        if bool(self.ml_basic_auth_user) != bool(self.ml_basic_auth_password):
            raise ValueError("set both ML_BASIC_AUTH_USER and ML_BASIC_AUTH_PASSWORD, or neither")
        return self


def load_settings() -> Settings:
    """Read the environment. Raises InputError naming the variable that is wrong."""
    try:
        settings = Settings()
    except UnicodeDecodeError as error:
        raise InputError(".env: not UTF-8 text; save it as UTF-8") from error
    except ValidationError as error:
        problems = "; ".join(
            ": ".join([*(str(part).upper() for part in item["loc"][:1]), item["msg"]]) for item in error.errors()
        )
        raise InputError(f"a setting is wrong: {problems}") from error
    redact.know(settings.label_studio_api_key, settings.ml_basic_auth_password, settings.audio_signing_key)
    return settings
