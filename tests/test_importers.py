"""Every importer on real files and on damaged ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importers import IMPORTERS
from importers.base import ReadOptions
from importers.podcast_json import kind_of
from podcast.errors import InputError, Refusal
from podcast.model import Certainty, Outcome, ReviewState, Session
from podcast.reviews import review_state
from tests.conftest import write_noise

OFFLINE = ReadOptions(audio_required=False)


def read(name: str, source: object, options: ReadOptions = OFFLINE) -> list[Session | Refusal]:
    return list(IMPORTERS[name](str(source), options))


def one(name: str, source: object, options: ReadOptions = OFFLINE) -> Session:
    (found,) = read(name, source, options)
    assert isinstance(found, Session), found
    return found


def reason(name: str, source: object, options: ReadOptions = OFFLINE) -> str:
    (found,) = read(name, source, options)
    assert isinstance(found, Refusal), found
    return str(found)


def times(session: Session) -> list[tuple[float, float]]:
    return [(item.event.start_s, item.event.end_s) for item in session.detections]


def write_json(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


LOAD = {
    "uri": "https://x/OS_9_27_2017_08_25_00__0001.wav",
    "absolute_time": "OS_9_27_2017_08_25_00_",
    "source_guid": "rpi_orcasound_lab",
    "annotations": [{"start_time_s": 24.499999999999996, "duration_s": 2.45, "confidence": 0.649}],
}


class TestPodcastJson:
    def test_the_real_load_file(self, small_data: Path) -> None:
        session = one("podcast-json", small_data / "labels" / "podcast_json" / "example-load.json")
        assert session.id == "OS_9_27_2017_08_25_00__0001"
        assert session.absolute_time == "OS_9_27_2017_08_25_00_"
        assert session.recording.source_guid == "rpi_orcasound_lab"
        assert times(session) == [(24.5, 26.95), (39.2, 41.65), (53.9, 56.35), (56.35, 58.8)]
        assert [item.confidence for item in session.detections] == [0.649, 0.689, 0.868, 0.888]
        assert review_state(session) is ReviewState.UNREVIEWED

    @pytest.mark.parametrize(
        ("name", "boxes", "first"), [("example-submit", 6, (2.726, 4.337)), ("example-submit-old", 10, (0, 1.723))]
    )
    def test_the_real_submit_files(self, small_data: Path, name: str, boxes: int, first: tuple[float, float]) -> None:
        session = one("podcast-json", small_data / "labels" / "podcast_json" / f"{name}.json")
        annotations = session.reviews[0].annotations
        assert (len(annotations), review_state(session)) == (boxes, ReviewState.CALLS)
        assert (annotations[0].event.start_s, annotations[0].event.end_s) == first
        assert (session.detections, session.model_runs) == ((), ())

    def test_real_files_with_windows_paths_and_no_head(self, small_data: Path) -> None:
        session = one("podcast-json", small_data / "labels" / "podcast_json" / "a606cd_static_pred_explorer_tmp_json_5.json")
        assert session.id == "OS_9_27_2017_08_30_00__0001"
        assert session.absolute_time == "OS_9_27_2017_08_30_00_"
        assert session.recording.uri == "./static/pred_explorer_tmp/wav\\OS_9_27_2017_08_30_00__0001.wav"
        assert len(session.detections) == 14
        assert times(session)[0] == (4.432, 5.946)

    def test_the_start_of_a_minute_counts_full_sessions_of_its_parent(self, tmp_path: Path) -> None:
        for chunk, length in ((0, 61.25), (1, 61.25), (2, 20.0)):
            write_noise(tmp_path / f"OS_9_27_2017_08_25_00__{chunk:04x}.wav", length)
        content = {**LOAD, "uri": "wav\\OS_9_27_2017_08_25_00__0002.wav", "annotations": []}
        session = one("podcast-json", write_json(tmp_path / "a.json", content), ReadOptions())
        assert session.recording.duration_s == 20.0
        assert session.recording.start == datetime(2017, 9, 27, 15, 27, 2, 500_000, tzinfo=UTC)  # 15:25:00 + 2 * 61.25 s

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("", "not JSON"),
            ("{", "not JSON"),
            ("[]", "expected an object with uri and annotations, not list"),
            ("{}", "annotations: expected a list, not None"),
            ('{"annotations": 3}', "annotations: expected a list, not 3"),
            ('{"annotations": [3]}', "annotations[0]: expected an object, not 3"),
            ('{"uri": 3, "annotations": []}', "uri: expected text, not 3"),
            ('{"absolute_time": 3, "annotations": []}', "absolute_time: expected text, not 3"),
            ('{"source_guid": null, "annotations": []}', "source_guid: expected text, not None"),
            ('{"model_guid": {}, "annotations": []}', "model_guid: expected text, not {}"),
            ('{"annotations": [{"duration_s": 1}]}', "annotations[0].start_s: expected a number, not None"),
            ('{"annotations": [{"start_s": "1", "duration_s": 1}]}', "annotations[0].start_s: expected a number, not '1'"),
            ('{"annotations": [{"start_s": 1, "duration_s": 0}]}', "annotations[0]: an event must have 0 <= start < end"),
            ('{"annotations": [{"start_s": -1, "duration_s": 3}]}', "annotations[0]: an event must have 0 <= start < end"),
            (
                '{"annotations": [{"start_s": 1, "duration_s": 1}, {"start_s": 3, "duration_s": 1, "confidence": 1}]}',
                "some boxes have a confidence and some have none",
            ),
            ('{"annotations": [{"start_s": 1, "duration_s": 1, "confidence": 65.9}]}', "confidence must lie between 0 and 1"),
            ('{"uri": "OS_13_40_2017_08_25_00__0001.wav", "annotations": []}', "no possible date"),
            ("__import__('os').getcwd()", "not JSON"),
            ("{[]: 1}", "not JSON"),
            ("[" * 100_000, "nested too deeply"),
            ('{"annotations": [{"start_s": 1e400, "duration_s": 1}]}', "annotations[0]: times must be finite"),
            ('{"annotations": [{"start_s": NaN, "duration_s": 1}]}', "annotations[0]: times must be finite"),
            ('{"annotations": [{"start_s": true, "duration_s": 1}]}', "annotations[0].start_s: expected a number, not True"),
            ('{"annotations": [{"start_s": 1' + "0" * 400 + ', "duration_s": 1}]}', "too large a number"),
            ('{"annotations": [{"start_s": 1' + "0" * 5000 + ', "duration_s": 1}]}', "not JSON"),
            ('{"annotations": [{"start_s": 0, "duration_s": 1, "confidence": NaN}]}', "confidence must lie between 0 and 1"),
            ('{"annotations": [{"start_s": 1, "duration_s": 1}], "annotations": []}', "'annotations' comes twice"),
            ('{"uri": "' + "x" * 201 + '.wav", "annotations": []}', "longer than 200 bytes"),
            ('{"uri": "a\\u0000b.wav", "annotations": []}', "control character"),
            ('{"uri": "a\\ud800b.wav", "annotations": []}', "surrogate"),
            ('{"uri": ".wav", "annotations": []}', "it is empty"),
            ('{"uri": "OS_12_31_9999_23_59_59__ffff.wav", "annotations": []}', "outside 1900 to 2199"),
            ('{"annotations": ' + "[" * 500 + "]" * 500 + "}", "annotations[0]: expected an object, not [["),
        ],
    )
    def test_damaged_files_are_refused_and_named(self, tmp_path: Path, content: str, words: str) -> None:
        path = write_json(tmp_path / "bad.json", content)
        found = reason("podcast-json", path)
        assert words in found
        assert found.count(str(path)) == 1 and len(found) < len(str(path)) + 250

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_a_byte_order_mark_does_no_harm(self, tmp_path: Path, encoding: str) -> None:
        path = tmp_path / "a.json"
        path.write_text(json.dumps(LOAD), encoding=encoding)
        assert times(one("podcast-json", path)) == [(24.5, 26.95)]

    def test_the_rest_of_a_batch_goes_on(self, tmp_path: Path) -> None:
        write_json(tmp_path / "a.json", "{")
        write_json(tmp_path / "b.json", LOAD)
        bad, good = read("podcast-json", tmp_path)
        assert isinstance(bad, Refusal)
        assert isinstance(good, Session)

    @pytest.mark.parametrize(
        ("folder", "importer", "state"),
        [
            # An empty file does not say who made it: only where it is sure that a person did is it a "no calls".
            ("anything", "podcast-json", ReviewState.UNREVIEWED),
            ("PREDICTIONS-round3", "podcast-json", ReviewState.UNREVIEWED),
            ("ANNOTATIONS-round3", "podcast-json", ReviewState.NO_CALLS),
            ("anything", "podcast-annotations", ReviewState.NO_CALLS),
            ("ANNOTATIONS-round3", "podcast-predictions", ReviewState.UNREVIEWED),
        ],
    )
    def test_an_empty_list(self, tmp_path: Path, folder: str, importer: str, state: ReviewState) -> None:
        (tmp_path / folder).mkdir()
        path = write_json(tmp_path / folder / "a.json", {**LOAD, "annotations": []})
        assert review_state(one(importer, path)) is state

    def test_missing_audio_is_refused_where_it_was_asked_for(self, tmp_path: Path) -> None:
        path = write_json(tmp_path / "a.json", LOAD)
        (tmp_path / "empty").mkdir()
        assert "its audio is not at" in reason("podcast-json", path, ReadOptions(audio=str(tmp_path / "empty")))
        # Without --audio, the web address in the file is what the page plays.
        assert one("podcast-json", path, ReadOptions()).recording.audio_uri == LOAD["uri"]

    def test_threshold_and_model_version(self, tmp_path: Path) -> None:
        path = write_json(tmp_path / "a.json", LOAD)
        session = one("podcast-json", path, ReadOptions(audio_required=False, threshold=0.65, model_version="FastAI"))
        assert (session.detections, [str(run) for run in session.model_runs]) == ((), ["FastAI"])

    @pytest.mark.parametrize(
        ("more", "boxes", "folder", "by_model"),
        [
            ({"model_guid": "m"}, [], "ANNOTATIONS", True),
            ({"backend_state": {}}, [], "ANNOTATIONS", True),
            ({"model_guid": "m"}, [{"start_s": 1, "duration_s": 1, "confidence": 1}], "ANNOTATIONS", True),
            ({}, [{"start_s": 1, "duration_s": 1, "confidence": 1}], "ANNOTATIONS", True),
            ({}, [{"start_s": 1, "duration_s": 1}], "PREDICTIONS", False),
            ({}, [], "annotations-of-2019/ours", False),
            ({}, [], "ours", True),  # the file is called annotations.json, but only a folder's name counts
        ],
    )
    def test_who_made_a_file(self, tmp_path: Path, more: Any, boxes: list[Any], folder: str, by_model: bool) -> None:
        (tmp_path / folder).mkdir(parents=True)
        path = write_json(tmp_path / folder / "annotations.json", {"annotations": boxes, **more})
        session = one("podcast-json", path)
        assert (bool(session.model_runs), bool(session.reviews)) == (by_model, not by_model)
        assert kind_of({"annotations": boxes, **more}, str(path)) == ("predictions" if by_model else "annotations")

    def test_what_a_file_does_not_say_comes_from_its_name_and_the_options(self, tmp_path: Path) -> None:
        boxes = [{"start_s": 5, "duration_s": 1, "confidence": 0.65}, {"start_s": 1, "duration_s": 1, "confidence": 0.6499}]
        path = write_json(tmp_path / "OS_9_27_2017_08_25_00__0001.JSON", {"annotations": boxes})
        session = one("podcast-json", path, ReadOptions(audio_required=False, threshold=0.65, source_guid="rpi_bush_point"))
        assert (session.id, session.absolute_time) == ("OS_9_27_2017_08_25_00__0001", "OS_9_27_2017_08_25_00_")
        assert (session.recording.source_guid, session.recording.uri) == ("rpi_bush_point", "")
        assert times(session) == [(5, 6)]  # as confident as the threshold says
        assert [str(run) for run in session.model_runs] == ["podcast"]
        both = one("podcast-json", path)
        assert times(both) == [(1, 2), (5, 6)]
        assert [(item.label, str(item.model_run)) for item in both.detections] == [("Call", "podcast")] * 2

    def test_what_a_file_says_counts_before_name_and_options(self, tmp_path: Path) -> None:
        options = ReadOptions(audio_required=False, model_version="other", source_guid="elsewhere")
        session = one("podcast-json", write_json(tmp_path / "a.json", {**LOAD, "model_guid": "FastAI:1"}), options)
        assert [str(run) for run in session.model_runs] == ["FastAI:1"]
        assert (session.recording.source_guid, session.recording.uri) == (LOAD["source_guid"], LOAD["uri"])

    def test_a_persons_boxes_are_certain_calls_in_order_of_time(self, tmp_path: Path) -> None:
        boxes = [{"start_s": 5, "duration_s": 1}, {"start_s": 1, "duration_s": 2}]
        session = one("podcast-json", write_json(tmp_path / "a.json", {"annotations": boxes}))
        (review,) = session.reviews
        assert (review.annotator, review.state, review.rejected) == ("", ReviewState.CALLS, ())
        assert [(box.event.start_s, box.event.end_s) for box in review.annotations] == [(1, 3), (5, 6)]
        said = {(box.label, box.certainty, box.annotator, box.outcome, box.detection) for box in review.annotations}
        assert said == {("Call", Certainty.CERTAIN, "", Outcome.ADDED, None)}

    def test_audio_beside_a_file_is_found_without_being_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_noise(tmp_path / "OS_9_27_2017_08_25_00__0001.wav", 61.0)
        write_json(tmp_path / "a.json", LOAD)
        monkeypatch.chdir(tmp_path)
        for source in (tmp_path, tmp_path / "a.json", "a.json"):
            assert one("podcast-json", source, ReadOptions()).recording.duration_s == 61


class TestPredictionsTsv:
    HEAD = "wav_filename\tstart_time_s\tduration_s\tconfidence\n"

    def test_windows_over_the_threshold_that_touch_are_one_box(self, tmp_path: Path) -> None:
        rows = [("b.wav", 0, 0.4), ("b.wav", 1, 0.5), ("b.wav", 2, 0.9), ("a.wav", 0, 0.1), ("b.wav", 3, 0.2), ("b.wav", 4, 0.6)]
        path = tmp_path / "p.tsv"
        path.write_text(self.HEAD + "".join(f"{wav}\t{start}\t1.0\t{confidence}\n" for wav, start, confidence in rows))
        a, b = read("predictions-tsv", path)
        assert isinstance(a, Session) and isinstance(b, Session)
        assert (a.id, a.detections, [str(run) for run in a.model_runs]) == ("a", (), ["predictions"])
        assert times(b) == [(1.0, 3.0), (4.0, 5.0)]
        assert [item.confidence for item in b.detections] == [0.9, 0.6]

    def test_boxes_of_podcast_detect_are_taken_as_they_are(self, tmp_path: Path) -> None:
        path = tmp_path / "p.tsv"
        path.write_text(self.HEAD.strip() + "\tmodel_version\na.wav\t1.0\t1.0\t0.3\tenergy:1\na.wav\t2.0\t1.0\t0.4\tenergy:1\n")
        session = one("predictions-tsv", path)
        assert times(session) == [(1.0, 2.0), (2.0, 3.0)]
        assert [str(run) for run in session.model_runs] == ["energy:1"]

    def test_a_bad_line_is_refused_and_the_others_are_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "p.tsv"
        path.write_text(self.HEAD + "a.wav\t1\t1\t0.9\na.wav\tx\t1\t0.9\na.wav\t3\t1\t1.5\na.wav\t5\t1\t0.9\n")
        first, second, session = read("predictions-tsv", path)
        assert f"{path}, line 3: start_time_s: expected a number from 0 up, not 'x'" == str(first)
        assert "line 4: confidence: expected a number from 0 to 1" in str(second)
        assert isinstance(session, Session) and times(session) == [(1.0, 2.0), (5.0, 6.0)]

    def test_a_file_of_another_shape_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "p.tsv"
        path.write_text("a\tb\n1\t2\n")
        with pytest.raises(InputError, match=r"line 1: columns \['wav_filename'"):
            read("predictions-tsv", path)

    def test_names_that_no_file_can_have_are_refused_one_by_one(self, tmp_path: Path) -> None:
        path = tmp_path / "p.tsv"
        names = ["OS_13_40_2017_08_25_00__0001.wav", "x" * 300, "a\0b.wav", "a\x1bb.wav", "..", "a/b.wav", "good.wav"]
        path.write_bytes((self.HEAD + "".join(f"{name}\t1\t1\t0.9\n" for name in names)).encode() + b"k\xe9.wav\t1\t1\t0.9\n")
        found = read("predictions-tsv", path)
        assert sorted(item.id for item in found if isinstance(item, Session)) == ["b", "good"]  # a/b.wav is b.wav in a folder
        assert sum(isinstance(item, Refusal) for item in found) == 6

    @given(st.lists(st.binary(max_size=40).filter(lambda line: not set(line) & set(b'\r\n"')), max_size=9))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_every_line_is_in_a_session_or_refused(self, tmp_path: Path, lines: list[bytes]) -> None:
        path = tmp_path / "p.tsv"
        good = [b"a.wav\t1\t1\t0.9", b"b.wav\t0\t0\t0"]
        path.write_bytes(self.HEAD.encode() + b"\n".join([*good, *lines]))
        found = read("predictions-tsv", path)
        refused = [item for item in found if isinstance(item, Refusal)]
        assert {item.id for item in found if isinstance(item, Session)} >= {"a", "b"}
        assert len(refused) <= sum(map(bool, lines)) <= len(refused) + sum(line.count(b"\t") == 3 for line in lines)

    def test_the_real_predictions(self, small_data: Path) -> None:
        found = read("predictions-tsv", small_data / "labels" / "podcast_eval" / "FastAI-ResNet50_R1to12.tsv")
        sessions = [item for item in found if isinstance(item, Session)]
        lines = (small_data / "labels" / "podcast_eval" / "FastAI-ResNet50_R1to12.tsv").read_text().splitlines()[1:]
        assert len(sessions) == len(found) == len({line.split("\t")[0] for line in lines})
        seconds = sum(float(line.split("\t")[2]) for line in lines if float(line.split("\t")[3]) >= 0.5)
        assert sum(item.event.duration_s for session in sessions for item in session.detections) == pytest.approx(seconds)


class TestWavFolder:
    def test_one_session_a_file_and_a_damaged_one_refused(self, tmp_path: Path) -> None:
        write_noise(tmp_path / "rpi_orcasound_lab_2020_09_30_03_51_56_PDT.wav", 2.0)
        (tmp_path / "broken.wav").write_bytes(b"RIFF and nothing else")
        (tmp_path / "notes.txt").write_text("no audio")
        bad, session = read("wav-folder", tmp_path)
        assert isinstance(bad, Refusal) and "broken.wav" in bad.where and "not readable as audio" in bad.reason
        assert isinstance(session, Session)
        assert session.recording.start == datetime(2020, 9, 30, 10, 51, 56, tzinfo=UTC)
        assert (session.recording.source_guid, session.recording.duration_s) == ("rpi_orcasound_lab", 2.0)
        assert len(session.recording.sha256) == 64

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="no such folder"):
            read("wav-folder", tmp_path / "nowhere")

    @pytest.mark.parametrize(
        ("kind", "subtype", "words"),
        [("WAV", "IMA_ADPCM", "IMA_ADPCM"), ("MP3", "MPEG_LAYER_III", "MP3"), ("FLAC", "PCM_16", "FLAC")],
    )
    def test_other_audio_in_a_wavs_name_is_refused_and_told_how_to_convert(
        self, tmp_path: Path, kind: str, subtype: str, words: str
    ) -> None:
        with (tmp_path / "a.wav").open("wb") as file:
            soundfile.write(file, np.zeros(48_000, np.float32), 48_000, format=kind, subtype=subtype)
        found = reason("wav-folder", tmp_path)
        assert f"holds {words} and not PCM samples" in found and "ffmpeg" in found

    @pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
    def test_samples_of_any_width_are_taken(self, tmp_path: Path, subtype: str) -> None:
        with (tmp_path / "a.wav").open("wb") as file:
            soundfile.write(file, np.zeros(48_000, np.float32), 48_000, format="WAV", subtype=subtype)
        assert one("wav-folder", tmp_path).recording.duration_s == 1.0

    def test_the_real_bouts(self, data: Path) -> None:
        found = read("wav-folder", data / "bouts")
        assert sorted(Path(item.where).name for item in found if isinstance(item, Refusal)) == [
            "20181202_25sec.wav",
            "call-examples.wav",
        ]
        assert len(found) == 5
