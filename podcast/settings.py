"""Settings from the environment or `.env`, read once by the command line and by the web server's entry."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from podcast.errors import InputError


class Settings(BaseSettings):
    """Every setting of the project; the name in the environment is the field's name in capitals."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    label_studio_url: str = "http://127.0.0.1:8080"
    label_studio_api_key: str = ""
    label_studio_local_files_document_root: Path | None = Field(
        default=None, description="Label Studio's own setting: the folder below which it serves audio to the page"
    )
    ml_backend_url: str = ""
    ml_detector: str = "energy"
    ml_host: str = "127.0.0.1"
    ml_port: int = Field(default=9090, ge=0, le=65535)
    ml_workers: int = Field(default=2, gt=0, description="Processes of the ML backend")
    ml_threads: int = Field(default=4, gt=0, description="Requests that each of them answers at a time")
    ml_cache_dir: Path = Path(".podcast/cache")
    ml_cache_max_entries: int = Field(default=100_000, gt=0)
    ml_audio_max_bytes: int = Field(default=256 * 2**20, gt=0)
    ml_audio_timeout_s: float = Field(default=20.0, gt=0)
    ml_predict_budget_s: float = Field(default=80.0, gt=0, description="Label Studio hangs up on a prediction after 100 s")
    ml_basic_auth_user: str = ""
    ml_basic_auth_password: str = ""


def load_settings() -> Settings:
    """Read the environment. Raises InputError naming the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(f"{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors())
        raise InputError(f"a setting is wrong: {problems}") from error
