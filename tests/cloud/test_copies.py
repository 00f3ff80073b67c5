"""Listening copies lie beside their recordings, wherever these lie."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import soundfile

from podcast import storage
from podcast.listening import copy_uri, with_copies
from podcast.model import Recording, Session
from podcast.report import Report
from tests.cloud.conftest import Rig
from tests.cloud.proxy import Fault
from tests.conftest import write_noise

DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message></Error>"


def test_a_copy_lies_beside_its_recording_which_is_fetched_once(rig: Rig, tmp_path: Path) -> None:
    content = write_noise(tmp_path / "a.wav", 2.0).read_bytes()
    wav = storage.join(rig.root, "calls of J pod", "ü a.wav")
    storage.write(wav, content)
    digest = hashlib.sha256(content).hexdigest()
    sessions = [Session("a", Recording("a.wav", sha256=digest, audio_uri=wav))]
    if rig.proxy:
        rig.proxy.log.clear()
        rig.proxy.faults.append(Fault(method="PUT", status=403, body=DENIED, path="listening"))
        report = Report()
        assert list(with_copies(sessions, copy_uri, report)) == sessions
        assert report.counts["not_copied"] == 1 and "access denied" in next(iter(report.warnings))
        assert [method for method, path in rig.proxy.log if "listening" not in path].count("GET") == 1
    [found] = with_copies(sessions, copy_uri, Report())
    assert isinstance(found, Session)
    copy = storage.join(rig.root, "calls of J pod", "listening", f"{digest}-1.flac")
    assert found.recording.listening_uri == storage.page_address(copy)
    info = soundfile.info(io.BytesIO(storage.read(copy)))
    assert (info.format, info.samplerate, info.frames) == ("FLAC", 24_000, 48_000)
    again = Report()
    assert list(with_copies(sessions, copy_uri, again)) == [found]
    assert (again.counts["copies_made"], again.counts["not_copied"]) == (0, 0)
