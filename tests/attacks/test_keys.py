"""Keys in what is printed, logged or answered; names that write lines of their own."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from cli.main import cli
from legacy.account import read_account
from podcast import redact
from podcast.errors import InputError
from tests.attacks.test_requests import predict

# Made up for this test; in the form of the real ones.
AZURE_KEY = "q0Zf3TgHn8bWm2YpL5sVx7RkDc1JuE4iOa9XvB6tNfQwSyGzKhPdMlUrCeTjIoAbF8nH2kLxZ5vR7mQ4wYs3Pg=="
SIGNATURE = "u7Jx%2BKq9ZpLw3vR5tYbN1mXcVfGhJkQ8sD4aE6oIzHg%3D"
AWS_SECRET = "wJa1rXUtnFEMI/K7MDENG/bPxRfiCYabcdefghij"
TOKEN = "fedcba9876543210fedcba9876543210fedcba98"
SIGNED_ADDRESS = (
    f"https://a.blob.core.windows.net/c/a.wav?sp=r&st=2026-01-01&se=2027-01-01T00:00:00Z&sv=2022-11-02&sig={SIGNATURE}"
)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f"{SIGNED_ADDRESS}: the server answered 403", SIGNATURE),
        (f"{SIGNED_ADDRESS}: the server answered 403", "2027-01-01"),
        (f"/tasks/1/resolve?fileuri=https%3A%2F%2Fa%2Fc%3Fsp%3Dr%26sig%3D{SIGNATURE.replace('%', '%25')}%26x%3D1", "u7Jx"),
        (f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={AZURE_KEY};EndpointSuffix=x", AZURE_KEY[:20]),
        (f"blobaccountkey: {AZURE_KEY}", AZURE_KEY[:20]),
        (f"AWS_SECRET_ACCESS_KEY={AWS_SECRET}", AWS_SECRET[:12]),
        (f"s3.amazonaws.com/b/a?X-Amz-Credential=AKIA123%2F2026&X-Amz-Signature={TOKEN}&x=1", TOKEN),
        (f"s3.amazonaws.com/b/a?X-Amz-Credential=AKIA123%2F2026&X-Amz-Signature={TOKEN}&x=1", "AKIA123"),
        (f"s3.amazonaws.com/b/a?x=1&X-Amz-Security-Token={TOKEN}", TOKEN),
        (f"headers: {{'Authorization': 'Token {TOKEN}'}}", TOKEN),
        (f"Authorization: Basic {TOKEN}", TOKEN),
        (f"sent Bearer {TOKEN}", TOKEN),
        (f"'/someone:{TOKEN}@host/a.wav' would leave the folder", TOKEN),  # an address that was taken apart
        (f'{{"LABEL_STUDIO_API_KEY": "{TOKEN}"}}', TOKEN),
        ("https://user:hunter2@host/a.wav", "hunter2"),
        ("refused eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoxMjM0fQ.c2lnbmF0dXJlMTIz", "c2lnbmF0dXJlMTIz"),
    ],
)
def test_keys_are_known_by_where_they_stand(text: str, key: str) -> None:
    assert key in text
    clean = redact.redact(text)
    assert key not in clean
    assert redact.HIDDEN in clean


def test_keys_of_this_process_are_known_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=a;AccountKey={AZURE_KEY}")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", AWS_SECRET)
    for text in (f"what {AZURE_KEY} is", f"x={AWS_SECRET.replace('/', '%2F')}", f"refuses {TOKEN}"):
        assert redact.HIDDEN in redact.redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "no key for Label Studio: set LABEL_STUDIO_API_KEY to an access token (Label Studio, Account & Settings)",
        "a setting is wrong: set both ML_BASIC_AUTH_USER and ML_BASIC_AUTH_PASSWORD, or neither",
        "round 'Orca se=3 sp=4': task 12 (session rpi_orcasound_lab_2020_09_30_19_41_02_PDT): ends at 62 s",
        "https://host/a.wav?d=audio/a.wav&t=1: the server answered 404",
        "the key in LABEL_STUDIO_API_KEY is refused; Token authentication is off",
    ],
)
def test_words_without_keys_stay_as_they_are(text: str) -> None:
    assert redact.one_line(text) == text


def test_a_slip_in_the_credentials_does_not_print_the_key(tmp_path: Path) -> None:
    path = tmp_path / "CREDS.yaml"
    for slip in (f'blobaccountkey: "{AZURE_KEY}\ngetcontainer: x', f"blobaccountkey: [{AZURE_KEY}", f"a: &k {AZURE_KEY}\nb: *k"):
        path.write_text(f"blobaccount: a\n{slip}\n")
        with pytest.raises(InputError) as problem:
            read_account(str(path))
        assert AZURE_KEY[:20] not in str(problem.value)
        result = CliRunner().invoke(cli, ["account", str(path)])
        assert result.exit_code == 2
        assert AZURE_KEY[:20] not in result.output


def test_error_lines_refusals_and_json_hold_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["evaluate", f"missing?sig={SIGNATURE}", f"other?sig={SIGNATURE}"])
    assert result.exit_code in (1, 2)
    assert "missing?sig=***" in result.output
    assert SIGNATURE not in result.output
    session = {"uri": "x", "absolute_time": "1", "source_guid": "lab", "annotations": [{"start_time_s": f"?sig={SIGNATURE}"}]}
    Path("1562337136_0001.json").write_text(json.dumps(session))
    for option in ([], ["--json"]):
        result = CliRunner().invoke(cli, ["tasks", "1562337136_0001.json", "-o", "tasks.json", *option])
        assert result.exit_code == 2
        assert "1562337136_0001" in result.output
        assert SIGNATURE not in result.output


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a handler writes that knows nothing of this project."""
    text, factory = io.StringIO(), logging.getLogRecordFactory()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logging.getLogger("ml_backend").addHandler(handler)
    redact.install()
    yield text
    logging.getLogger("ml_backend").removeHandler(handler)
    logging.setLogRecordFactory(factory)


def test_logs_hold_no_keys_and_a_name_no_line_of_its_own(client: FlaskClient, log: io.StringIO) -> None:
    forged = "1\nINFO everything is fine\x1b[2K"
    (answer,) = predict(client, {"id": forged, "data": {"audio": f"https://127.0.0.1/a.wav?sig={SIGNATURE}"}})
    [line] = log.getvalue().splitlines()
    assert line.startswith("WARNING task 1\\nINFO everything is fine\\x1b[2K: ")
    assert SIGNATURE not in line
    assert SIGNATURE not in answer["error"]
    assert "127.0.0.1" in answer["error"]


def test_tracebacks_in_logs_hold_no_keys(log: io.StringIO) -> None:
    try:
        raise ValueError(f"AccountKey={AZURE_KEY}")
    except ValueError:
        logging.getLogger("ml_backend").exception("unforeseen")
    assert "ValueError: AccountKey=***" in log.getvalue()
    assert AZURE_KEY[:20] not in log.getvalue()
