"""The archive importer against the real archive, served by S3: the right samples at the right time, none lost, none twice."""

from __future__ import annotations

import itertools
import json
import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import boto3
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importers import hls
from importers.hls import Archive, Block, Hole, parse_playlist, plan
from importers.hls_audio import Packets, Pcm, cut_session, take_apart
from pipeline.engine import LocalEngine
from pipeline.job import Job, run
from podcast import audio, storage
from podcast.errors import InputError, Refusal, StorageError
from podcast.model import Session
from podcast.report import Report
from tests.cloud import fake_detector
from tests.cloud.archive import ARCHIVE, FOLDERS, NODE, RATE, extinf, whole_folder
from tests.cloud.proxy import Fault, Proxy

BUCKET = "audio-orcasound-net"
OFFSET_S = 2.0
# From 2 s on, in sessions of 25 s: the hole between the folders, 62.032 to 82 s, ends one and begins another.
NAMES = [f"{NODE}_2020_09_30_19_{time}_PDT" for time in ("40_02", "40_27", "40_52", "41_22", "41_42")]
SECONDS = sum(sum(extinf(folder)) for folder in FOLDERS)


@pytest.fixture(scope="module")
def served(s3_proxy: Proxy) -> Archive:
    """The real archive as a public bucket behind the proxy."""
    client = boto3.client(
        "s3", endpoint_url=s3_proxy.url, region_name="us-west-2", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    client.create_bucket(Bucket=BUCKET, ACL="public-read", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    for path in sorted(ARCHIVE.rglob("*")):
        if path.is_file():
            client.put_object(Bucket=BUCKET, Key=str(path.relative_to(ARCHIVE)), Body=path.read_bytes(), ACL="public-read")
    return Archive(f"s3://{BUCKET}", s3_proxy.url, "us-west-2")


@cache
def truth(folder: int) -> Pcm:
    return whole_folder(folder)


@cache
def taken(archive: Archive, uri: str) -> Packets:
    return take_apart(archive.store.read(uri, 0, None), uri)


def at(seconds: float) -> datetime:
    """A time on the clock of the first folder."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=FOLDERS[0]) + timedelta(milliseconds=round(seconds * 1000))


def check_samples(folder: int, start_s: float, samples: Pcm) -> int:
    """Assert that samples said to start at a Unix time are the folder's; gives their position in the folder.

    The two decoders fill noise bands from random numbers of their own, so the samples are not equal; but they fit best where
    they belong, and worse one sample to either side.
    """
    whole = truth(folder)
    position = round((start_s - folder - OFFSET_S) * RATE)
    assert 0 <= position <= len(whole) - len(samples)
    if len(samples) > RATE:
        middle = samples[100:-100].astype(np.int32)
        lags = range(-3, 4)
        misfit = [int(np.abs(middle - whole[position + 100 + lag :][: len(middle)]).sum()) for lag in lags]
        assert misfit.index(min(misfit)) == lags.index(0)
    return position


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start_ms=st.integers(-20_000, 120_000), length_ms=st.integers(1, 140_000), session_s=st.sampled_from([7, 10, 25, 31, 600]))
def test_every_window_is_cut_at_its_true_times(served: Archive, start_ms: int, length_ms: int, session_s: int) -> None:
    start, end = at(start_ms / 1000), at((start_ms + length_ms) / 1000)
    found = list(plan(served, NODE, start, end, session_s))
    covered: dict[int, list[tuple[int, int]]] = {folder: [] for folder in FOLDERS}
    names = Counter[str]()
    for block in found:
        if not isinstance(block, Block):
            continue
        for cut in block.cuts:
            pieces, problems = cut_session(cut, block.segments, lambda segment: taken(served, segment.uri))
            assert not problems
            (piece,) = pieces
            folder = max(folder for folder in FOLDERS if folder + OFFSET_S <= piece.start_us / 1e6 + 0.001)
            position = check_samples(folder, piece.start_us / 1e6, piece.samples)
            covered[folder].append((position, position + piece.frames))
            names[cut.name] += 1
            assert piece.start_us == cut.start_us
            # The folder's last segment holds more than its playlist says.
            at_end = position + piece.frames == len(truth(folder))
            assert abs(piece.end_us - cut.end_us) <= (19_000 if at_end else 1000)
    assert set(names.values()) <= {1}
    # An independent calculation of what must have been found, from the playlists alone.
    missing = (end - start).total_seconds()
    for folder in FOLDERS:
        begin, finish = folder + OFFSET_S, folder + OFFSET_S + sum(extinf(folder))
        first, last = max(begin, start.timestamp()), min(finish, end.timestamp())
        if first >= last:
            assert not covered[folder]
            continue
        missing -= last - first
        spans = sorted(covered[folder])
        assert abs(spans[0][0] - (first - begin) * RATE) < 1
        assert all(end == start for (_, end), (start, _) in itertools.pairwise(spans))
        expected_end = len(truth(folder)) if last == finish else round((last - begin) * RATE)
        assert abs(spans[-1][1] - expected_end) <= 1
    holes = [item for item in found if isinstance(item, Hole)]
    assert abs(sum(hole.end_us - hole.start_us for hole in holes) / 1e6 - missing) < 0.003
    assert not [item for item in found if isinstance(item, Refusal)]


def test_the_hole_between_the_folders_is_named(served: Archive) -> None:
    holes = [item for item in plan(served, NODE, at(2), at(105)) if isinstance(item, Hole)]
    begin = FOLDERS[0] + OFFSET_S + sum(extinf(FOLDERS[0]))
    assert [(round(hole.start_us / 1e6, 3), hole.end_us / 1e6) for hole in holes] == [(round(begin, 3), FOLDERS[1] + OFFSET_S)]
    # 62.031998 s by the playlist, told to the millisecond below.
    assert str(holes[0]).startswith(f"hole of 19.968 s at {NODE}, 2020-10-01 02:41:02.031 UTC")


def test_names_are_those_of_the_archives_own_tools(served: Archive) -> None:
    names = [cut.name for item in plan(served, NODE, at(2), at(112), 25) if isinstance(item, Block) for cut in item.cuts]
    assert names == NAMES


def test_an_unknown_node_and_an_empty_window_say_so(served: Archive) -> None:
    with pytest.raises(InputError, match=f"has no node 'rpi_nowhere'; it has {NODE}"):
        list(plan(served, "rpi_nowhere", at(0), at(60)))
    with pytest.raises(InputError, match="must end after it starts"):
        list(plan(served, NODE, at(60), at(60)))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "begins with #EXTM3U"),
        ("<html>", "begins with #EXTM3U"),
        ("#EXTM3U\n#EXTINF:ten,\na.ts", "line 2.*number of seconds"),
        ("#EXTM3U\n#EXTINF:nan,\na.ts", "line 2"),
        ("#EXTM3U\n#EXTINF:-1,\na.ts", "line 2.*longer than 0"),
        ("#EXTM3U\na.ts", "line 2.*no #EXTINF"),
        ("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:10.0,\nlive007.ts", "line 2.*beginning was dropped"),
    ],
)
def test_a_damaged_playlist_names_the_line(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_playlist(text, "live.m3u8")


def test_lengths_are_summed_without_rounding() -> None:
    text = "#EXTM3U\n" + "".join(f"#EXTINF:10.005333,\nlive{number}.ts\n" for number in range(8640))
    assert sum(length for _, length in parse_playlist(text, "x")) == 8640 * 10_005_333


# Whole jobs


def job(served: Archive, folder: Path, **changes: object) -> Job:
    made = Job(served, NODE, at(2), at(112), str(folder / "wav"), folder / "work", session_s=25)
    return replace(made, **changes)  # type: ignore[arg-type]


def wavs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "wav").glob("*"))}


@pytest.fixture
def local_archive(tmp_path: Path) -> Path:
    """A copy of the archive that can be damaged."""
    root = tmp_path / "archive"
    shutil.copytree(ARCHIVE, root)
    return root


def test_a_job_writes_wavs_and_gives_sessions(served: Archive, tmp_path: Path, s3_proxy: Proxy) -> None:
    s3_proxy.log.clear()
    notes = Report()
    seconds: list[float] = []
    sessions = list(run(job(served, tmp_path, load=fake_detector.load), LocalEngine(2), notes, seconds.append))
    assert list(map(id_of, sessions)) == NAMES
    assert set(wavs(tmp_path)) == {f"{session.id}.wav" for session in sessions if isinstance(session, Session)}
    assert notes.counts["holes"] == 2
    for session in sessions:
        assert isinstance(session, Session)
        samples, rate = audio.read(session.recording.audio_uri)
        assert (rate, samples.shape[1], audio.probe(session.recording.uri).channels) == (RATE, 2, 2)
        folder = FOLDERS[session.id > f"{NODE}_2020_09_30_19_41_12"]
        assert session.recording.start is not None
        check_samples(folder, session.recording.start.timestamp(), np.rint(samples * 32768).astype(np.int16))
        with storage.open_read(session.recording.audio_uri) as file:
            assert session.recording.sha256 == audio.sha256(file)
        # The stand-in finds one event as long as the loudness says: it saw the samples that were written.
        assert session.detections == tuple(fake_detector.load().detect([(samples, rate)])[0])
        assert [str(item) for item in session.model_runs] == ["fake:1"]
    fetched = Counter(path for method, path in s3_proxy.log if method == "GET" and path.endswith(".ts"))
    assert len(fetched) == 10
    assert set(fetched.values()) == {1}
    assert not (job(served, tmp_path).folder / "segments").exists()
    assert sum(seconds) == pytest.approx(SECONDS, abs=0.02)


def test_blocks_that_share_a_segment_fetch_it_once(served: Archive, tmp_path: Path, s3_proxy: Proxy) -> None:
    s3_proxy.log.clear()
    sessions = list(run(job(served, tmp_path, session_s=4), LocalEngine(2), Report()))
    assert len(sessions) > 20
    fetched = Counter(path for method, path in s3_proxy.log if method == "GET" and path.endswith(".ts"))
    assert len(fetched) == 10
    assert set(fetched.values()) == {1}


def test_done_again_nothing_is_fetched_or_cut(served: Archive, tmp_path: Path, s3_proxy: Proxy) -> None:
    first = list(run(job(served, tmp_path), LocalEngine(1), Report()))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "wav").iterdir()}
    s3_proxy.log.clear()
    assert list(run(job(served, tmp_path), LocalEngine(1), Report())) == first
    assert not [path for _, path in s3_proxy.log if path.endswith(".ts")]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "wav").iterdir()} == before


def test_the_threshold_chooses_candidates_without_detecting_again(served: Archive, tmp_path: Path) -> None:
    whole = list(run(job(served, tmp_path, load=fake_detector.load), LocalEngine(1), Report()))
    confidences = sorted(item.detections[0].confidence for item in whole if isinstance(item, Session))
    threshold = confidences[2]
    chosen = job(served, tmp_path, load=fake_detector.load, threshold=threshold, candidates_only=True)
    found = list(run(chosen, LocalEngine(1), Report()))
    assert [item.detections[0].confidence >= threshold for item in found if isinstance(item, Session)] == [True] * 3
    kept = list(run(replace(chosen, candidates_only=False), LocalEngine(1), Report()))
    assert len(kept) == 5
    assert sum(not item.detections for item in kept if isinstance(item, Session)) == 2


def test_candidates_alone_are_written_and_a_lower_threshold_adds_to_them(served: Archive, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    everything = [
        item for item in run(job(served, whole, load=fake_detector.load), LocalEngine(1), Report()) if isinstance(item, Session)
    ]
    loudest = sorted(everything, key=lambda item: -item.detections[0].confidence)
    for count in (2, 4):
        threshold = loudest[count - 1].detections[0].confidence
        chosen = job(served, tmp_path, load=fake_detector.load, threshold=threshold, candidates_only=True)
        for engine in (LocalEngine(2), LocalEngine(1)):
            notes, seconds = Report(), list[float]()
            found = list(run(chosen, engine, notes, seconds.append))
            expected = [item for item in everything if item in loudest[:count]]
            assert [item.id for item in found if isinstance(item, Session)] == [item.id for item in expected]
            assert [item.detections for item in found if isinstance(item, Session)] == [item.detections for item in expected]
            assert wavs(tmp_path) == {
                name: content for name, content in wavs(whole).items() if name[:-4] in {x.id for x in expected}
            }
            assert notes.counts["sessions without a candidate"] == 5 - count
            assert sum(seconds) == pytest.approx(SECONDS, abs=0.02)
    # The same folder for all sessions: those that are there are taken as they are.
    assert list(map(id_of, run(replace(chosen, candidates_only=False), LocalEngine(1), Report()))) == list(map(id_of, everything))
    assert wavs(tmp_path) == wavs(whole)


def test_candidates_need_a_detector(served: Archive, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a detector"):
        list(run(job(served, tmp_path, candidates_only=True), LocalEngine(1), Report()))


def id_of(item: Session | Refusal) -> str:
    assert isinstance(item, Session)
    return item.id


def test_a_missing_and_a_damaged_segment_make_holes(local_archive: Path, tmp_path: Path) -> None:
    base = local_archive / NODE / "hls" / str(FOLDERS[0])
    (base / "live001.ts").unlink()
    (base / "live003.ts").write_bytes(b"not audio" * 100)
    notes = Report()
    found = list(run(job(Archive(str(local_archive)), tmp_path, end=at(62)), LocalEngine(1), notes))
    starts = [0.0]
    for length in extinf(FOLDERS[0]):
        starts.append(starts[-1] + length)
    spans = []
    for session in found:
        assert isinstance(session, Session)
        assert session.recording.start is not None
        samples, _ = audio.read(session.recording.audio_uri)
        begin = session.recording.start.timestamp()
        check_samples(FOLDERS[0], begin, np.rint(samples * 32768).astype(np.int16))
        spans.append((round(begin - FOLDERS[0] - 2, 2), round(begin - FOLDERS[0] - 2 + len(samples) / RATE, 2)))
    expected = [(0, starts[1]), (starts[2], 25), (25, starts[3]), (starts[4], 50), (50, 60)]
    assert spans == [(round(first, 2), round(last, 2)) for first, last in expected]
    words = list(notes.warnings)
    assert sum("live001.ts" in word for word in words) == 1
    assert sum("live003.ts: damaged" in word for word in words) == 1


def test_a_folder_without_a_playlist_is_refused_and_the_rest_goes_on(local_archive: Path, tmp_path: Path) -> None:
    (local_archive / NODE / "hls" / str(FOLDERS[0]) / "live.m3u8").unlink()
    found = list(run(job(Archive(str(local_archive)), tmp_path), LocalEngine(1), Report()))
    refused = [item for item in found if isinstance(item, Refusal)]
    assert len(found) == 3
    assert [str(FOLDERS[0]) in item.where for item in refused] == [True]


def test_a_playlist_that_names_files_elsewhere_is_refused_and_the_rest_goes_on(local_archive: Path, tmp_path: Path) -> None:
    playlist = local_archive / NODE / "hls" / str(FOLDERS[0]) / "live.m3u8"
    playlist.write_text(playlist.read_text().replace("live003.ts", f"../{FOLDERS[1]}/live003.ts"))
    found = list(run(job(Archive(str(local_archive)), tmp_path), LocalEngine(1), Report()))
    refused = [item for item in found if isinstance(item, Refusal)]
    assert len(found) == 3
    assert ["must be the name of a file in this folder" in item.reason for item in refused] == [True]


def test_an_archive_that_fails_is_no_hole(served: Archive, tmp_path: Path, s3_proxy: Proxy) -> None:
    body = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    made = job(served, tmp_path, end=at(60))
    next(run(job(served, tmp_path / "other", end=at(10)), LocalEngine(1), Report()))
    segments = [item for item in plan(served, NODE, at(2), at(60)) if isinstance(item, Block)]
    assert segments
    s3_proxy.faults.append(Fault(403, body, path="live003.ts", lasting=True))
    try:
        with pytest.raises(StorageError, match=r"live003\.ts.*access denied"):
            list(run(made, LocalEngine(1), Report()))
    finally:
        s3_proxy.faults.clear()
    assert len(list(run(made, LocalEngine(1), Report()))) == 3


def test_other_audio_of_the_same_name_is_not_overwritten(served: Archive, tmp_path: Path) -> None:
    list(run(job(served, tmp_path, end=at(62), session_s=60), LocalEngine(1), Report()))
    before = wavs(tmp_path)
    (refusal,) = run(job(replace(served, audio_offset_s=1.5), tmp_path, end=at(62), session_s=60), LocalEngine(1), Report())
    assert isinstance(refusal, Refusal)
    assert "holds other audio" in refusal.reason
    assert wavs(tmp_path) == before


def test_overlapping_folders_keep_both(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    for folder, segments in ((1000, "ab"), (1005, "a")):
        base = root / NODE / "hls" / str(folder)
        base.mkdir(parents=True)
        (base / "live.m3u8").write_text("#EXTM3U\n" + "".join(f"#EXTINF:10.0,\n{name}.ts\n" for name in segments))
        (base / "a.ts").touch()
        (base / "b.ts").touch()
    start = datetime.fromtimestamp(1002, UTC)
    found = list(plan(Archive(str(root)), NODE, start, start + timedelta(seconds=35)))
    assert [(cut.start_us // 10**6, cut.end_us // 10**6) for item in found if isinstance(item, Block) for cut in item.cuts] == [
        (1002, 1022),
        (1007, 1017),
    ]
    assert [str(item).split(" at ")[0] for item in found if isinstance(item, Hole)] == ["overlap of 15.000 s", "hole of 15.000 s"]


def test_a_tiny_remainder_joins_its_neighbour() -> None:
    assert hls._borders(0, 200_021_328, 0, 60_000_000) == [0, 60_000_000, 120_000_000, 180_000_000, 200_021_328]
    assert hls._borders(0, 180_021_328, 0, 60_000_000) == [0, 60_000_000, 120_000_000, 180_021_328]
    assert hls._borders(59_500_000, 130_000_000, 0, 60_000_000) == [59_500_000, 120_000_000, 130_000_000]
    assert hls._borders(5, 300_000, 0, 60_000_000) == [5, 300_000]


def test_the_journal_is_read_as_it_was_written() -> None:
    from pipeline.stages import CutBlock, Written

    block = CutBlock("k", NODE, (Written("a", "/a.wav", 5, 10, 48_000, "00"),), ("live000.ts: damaged",))
    assert CutBlock.from_json(json.loads(json.dumps(block.as_json()))) == block
