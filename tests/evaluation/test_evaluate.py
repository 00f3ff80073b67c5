"""Tables in every variant, the published figures, and the command."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import cli
from evaluation.scores import lengths, score
from evaluation.scoring import EventCounts, Protocol, Span
from evaluation.tables import Labelled, Predicted, parse_predictions, parse_truth, read_predictions, read_truth, truth_of_sessions
from podcast.errors import InputError
from podcast.model import Annotation, Certainty, Outcome, Recording, Review, ReviewState, Session, SoundEvent
from podcast.report import Report
from tests.conftest import write_noise


def table(*lines: str) -> io.BytesIO:
    return io.BytesIO("\n".join(lines).encode())


VARIANTS = {
    "release": "dataset\twav_filename\tstart_time_s\tduration_s\tlocation\tdate\tpst_or_master_tape_identifier\n"
    "round2\ta.wav\t1.5\t0.5\tHaro Strait, Orcasound Lab\t2020-07-25\t19:15:00\n",
    "data source": "wav_filename\tstart_time_s\tduration_s\tlocation\tdate\tdata_source\tdata_source_id\n"
    "a.wav\t1.5\t0.5\tHaro Strait, Orcasound Lab\t07/25/2020\tx\t9\n",
    "index column": "\twav_filename\tstart_time_s\tduration_s\tlocation\tdate\tmaster_wav\ttag\n"
    "0\ta.wav\t1.5\t0.5\tHaro Strait, Orcasound Lab\t1562340736\ta.wav\tcall\n",
    "byte order mark": "\ufeffwav_filename\tstart_time_s\tduration_s\tlocation\na.wav\t1.5\t0.5\tHaro Strait, Orcasound Lab\n",
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_of_the_truth(variant: str, tmp_path: Path) -> None:
    path = tmp_path / "truth.tsv"
    path.write_text(VARIANTS[variant], encoding="utf-8")
    [recording] = read_truth(str(path))
    assert (recording.name, recording.spans) == ("a", (Span(1.5, 0.5),))
    assert recording.hydrophone == "Haro Strait, Orcasound Lab"
    assert recording.dataset == {"release": "round2", "data source": "x"}.get(variant, "all")


def test_a_node_in_the_name_is_the_hydrophone_where_no_column_tells() -> None:
    [recording] = parse_truth(
        table("wav_filename\tstart_time_s\tduration_s", "rpi-port-townsend_2020_09_30_03_51_56_PDT.wav\t0\t0"), "t.tsv"
    )
    assert recording.hydrophone == "rpi_port_townsend"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["wav_filename\tstart_time_s", "a.wav\t1"], r"t.tsv, line 1: columns \['duration_s'\]"),
        (["wav_filename\tstart_time_s\tduration_s", "a.wav\t1\t1", "a.wav\tone\t1"], "t.tsv, line 3, start_time_s"),
        (["wav_filename\tstart_time_s\tduration_s", "a.wav\t1\tnan"], "t.tsv, line 2, duration_s"),
        (["wav_filename\tstart_time_s\tduration_s", "a.wav\t-1\t1"], "t.tsv, line 2, start_time_s"),
        (["wav_filename\tstart_time_s\tduration_s", "\t1\t1"], "t.tsv, line 2, wav_filename"),
        (["wav_filename\tstart_time_s\tduration_s"], "holds no row"),
    ],
)
def test_a_bad_truth_names_line_and_column(lines: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_truth(table(*lines), "t.tsv")


def test_the_length_comes_from_what_is_known_then_the_table_then_the_predictions() -> None:
    truth = [Labelled("a", "all", "h", (Span(5, 1),)), Labelled("b", "all", "h", (Span(5, 1),), 60.0)]
    model = Predicted("m", {"a": (Span(0, 8, 0.1),), "b": (Span(0, 80, 0.1),)})
    assert lengths(truth, [model], {}) == {"a": 8.0, "b": 60.0}
    assert lengths(truth, [model], {"a": 30.0, "b": 31.0}) == {"a": 30.0, "b": 31.0}
    with pytest.raises(InputError, match="a: its length is unknown"):
        lengths(truth, [Predicted("m", {"a": (Span(0, 5.5, 0.1),)})], {})
    assert lengths(truth[:1], [Predicted("m", {"a": (Span(0, 6, 0.1),)})], {}) == {"a": 6.0}  # as far as the last call


def test_a_recording_without_calls_lasts_as_long_as_its_predictions_and_a_second_at_least() -> None:
    silent = [Labelled("a", "all", "h", ())]
    models = [Predicted("m", {"a": (Span(0, 0.5),)}), Predicted("n", {"a": (Span(0, 0.5), Span(0.5, 0.5))})]
    assert lengths(silent, models, {}) == {"a": 1.0}
    for few in (models[:1], [Predicted("m", {})], []):
        with pytest.raises(InputError, match="a: its length is unknown and no prediction reaches its last call"):
            lengths(silent, few, {})


def test_what_is_not_predicted_counts_as_zero_and_datasets_weigh_the_same() -> None:
    truth = [Labelled("a", "one", "h", (Span(0, 1),)), Labelled("b", "two", "h", (Span(0, 1),)), Labelled("c", "two", "h", ())]
    model = Predicted("m", {"a": (Span(0, 1, 0.9),), "other": (Span(0, 1, 0.9),)})
    scores = score(truth, model, dict.fromkeys("abc", 10.0), Protocol.STRICT, 0.5)
    assert [(row.name, row.recordings, row.seconds, row.positive_seconds, row.auprc) for row in scores.datasets] == [
        ("one", 1, 10, 1, 1.0),
        ("two", 2, 20, 1, 0.05),
    ]
    assert scores.overall == pytest.approx((1 + 0.05) / 2)
    assert (scores.unpredicted, scores.unlabelled) == (2, 1)


def test_boxes_of_podcast_detect_are_not_joined() -> None:
    lines = [
        "wav_filename\tstart_time_s\tduration_s\tconfidence\tmodel_version",
        "a.wav\t0\t1\t0.9\te:1",
        "a.wav\t1\t1\t0.9\te:1",
    ]
    truth = [Labelled("a", "all", "h", (Span(0, 1), Span(1, 1)))]
    as_boxes, as_windows = (
        parse_predictions(table(*lines), "p.tsv"),
        parse_predictions(table(*(x.rsplit("\t", 1)[0] for x in lines)), "p.tsv"),
    )
    assert score(truth, as_boxes, {"a": 9.0}, Protocol.STRICT, 0.5).events[0.5].hits == 2
    assert score(truth, as_windows, {"a": 9.0}, Protocol.STRICT, 0.5).events[0.5].hits == 1


def test_only_reviewed_sessions_are_truth() -> None:
    box = Annotation(SoundEvent(1, 2), "Call", Certainty.CERTAIN, "ann", Outcome.ADDED)

    def session(name: str, *reviews: Review) -> Session:
        return Session(name, Recording(f"{name}.wav", "rpi_bush_point", duration_s=60.0), round="r", reviews=reviews)

    report = Report()
    truth = truth_of_sessions(
        [
            session("calls", Review("ann", ReviewState.CALLS, (box,))),
            session("none", Review("ann", ReviewState.NO_CALLS)),
            session("unsure", Review("ann", ReviewState.UNSURE)),
            session("skipped", Review("ann", ReviewState.SKIPPED)),
            session("open"),
        ],
        report,
    )
    assert truth == [
        Labelled("calls", "r", "rpi_bush_point", (Span(1, 1),), 60.0),
        Labelled("none", "r", "rpi_bush_point", (), 60.0),
    ]
    assert report.counts == {"calls": 1, "no_calls": 1, "unsure": 1, "skipped": 1, "unreviewed": 1}


def test_the_published_figures_to_three_decimals(small_data: Path) -> None:
    folder = small_data / "labels" / "podcast_eval"
    truth = read_truth(str(folder / "podcast_test_round1.test.tsv"))
    for name, published in (("FastAI-ResNet50_R1to12", 0.977), ("Baseline-AudioSet-VGGish_R1to7", 0.949)):
        model = read_predictions(str(folder / f"{name}.tsv"))
        scores = score(truth, model, lengths(truth, [model], {}), Protocol.ORCAHELLO, 0.5)
        assert scores.overall is not None
        assert round(scores.overall, 3) == published


def test_the_command_puts_models_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "truth.tsv").write_text(VARIANTS["release"])
    header = "wav_filename\tstart_time_s\tduration_s\tconfidence\n"
    (tmp_path / "good.tsv").write_text(header + "a.wav\t1\t1\t0.9\n")
    (tmp_path / "bad.tsv").write_text(header + "a.wav\t8\t1\t0.9\n")
    files = [str(tmp_path / name) for name in ("truth.tsv", "good.tsv", "bad.tsv")]
    options = ["--length", "10", "--protocol", "strict", "--plot", str(tmp_path / "pr.png"), "--json"]
    result = CliRunner().invoke(cli, ["evaluate", *files, *options])
    assert result.exit_code == 0, result.output
    models = json.loads(result.stdout)["models"]
    assert [(model["model"], model["auprc"]) for model in models] == [("good", 1.0), ("bad", 0.1)]
    assert (tmp_path / "pr.png").read_bytes().startswith(b"\x89PNG")
    words = CliRunner().invoke(cli, ["evaluate", *files, "--length", "10", "--protocol", "strict"]).output
    assert "OVERALL" in words and "Haro Strait, Orcasound Lab" in words and "1.000" in words and "0.100" in words


def test_a_truth_without_predictions_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "truth.tsv").write_text(VARIANTS["release"])
    result = CliRunner().invoke(cli, ["evaluate", str(tmp_path / "truth.tsv")])
    assert result.exit_code == 2
    assert "predictions" in result.output


def test_guessed_lengths_are_said(tmp_path: Path) -> None:
    for name in "ab":
        write_noise(tmp_path / f"{name}.wav", 10.0)
    (tmp_path / "truth.tsv").write_text("wav_filename\tstart_time_s\tduration_s\na.wav\t1\t1\nb.wav\t1\t1\n")
    (tmp_path / "p.tsv").write_text("wav_filename\tstart_time_s\tduration_s\tconfidence\na.wav\t0\t9\t0.9\nb.wav\t0\t9\t0.9\n")
    files = [str(tmp_path / "truth.tsv"), str(tmp_path / "p.tsv")]
    said = CliRunner().invoke(cli, ["evaluate", *files])
    assert "warning: the lengths of 2 of 2 recordings are guessed" in said.stderr and said.exit_code == 0
    for more, guessed in (([], 2), (["--audio", str(tmp_path)], 0), (["--length", "10"], 0)):
        answer = json.loads(CliRunner().invoke(cli, ["evaluate", *files, *more, "--json"]).stdout)
        assert (answer["guessed_lengths"], len(answer["warnings"])) == (guessed, bool(guessed))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"OS_13_40_2017_08_25_00__0001.wav\t1\t1", "t.tsv, line 2, wav_filename: .* no possible date"),
        (b"k\xe9.wav\t1\t1", "t.tsv, line 2, is not UTF-8"),
        (b'"a.wav\t1\t1', "t.tsv, line 2, cannot be read"),
        (b"a.wav\t1_0\t1", "t.tsv, line 2, start_time_s"),
        (b"a.wav\t1e400\t1", "t.tsv, line 2, start_time_s"),
    ],
)
def test_damaged_tables_name_the_line(line: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_truth(io.BytesIO(b"wav_filename\tstart_time_s\tduration_s\n" + line + b"\n"), "t.tsv")


def test_boxes_as_confident_as_the_threshold_count_and_points_are_none() -> None:
    truth = [Labelled("a", "all", "n1", (Span(0, 1), Span(5, 1), Span(9, 0))), Labelled("b", "all", "n2", (Span(2, 1),))]
    model = Predicted("m", {"a": (Span(0, 1, 0.5), Span(5, 1, 0.49), Span(8, 0, 0.9)), "b": (Span(3, 1, 0.9),)}, are_boxes=True)
    found = score(truth, model, dict.fromkeys("ab", 10.0), Protocol.STRICT, 0.5)
    assert dict(found.events) == dict.fromkeys((0.1, 0.3, 0.5), EventCounts(hits=1, false_boxes=1, missed=2))
    assert [(row.name, row.recordings, row.seconds, row.positive_seconds) for row in found.hydrophones] == [
        ("n1", 1, 10, 2),
        ("n2", 1, 10, 1),
    ]
    assert (found.pooled.name, found.pooled.recordings, found.pooled.seconds, found.pooled.positive_seconds) == ("all", 2, 20, 3)
    assert found.pooled.interval is None and found.model == "m"
    assert found.curve[0] == (1.0, 3 / 20) and found.curve[-1] == (0.0, 1.0)  # everything is called, and nothing


def test_where_nobody_heard_a_call_there_is_nothing_to_draw() -> None:
    found = score([Labelled("a", "all", "h", ())], Predicted("m", {"a": (Span(0, 1, 0.9),)}), {"a": 10.0}, Protocol.STRICT, 0.5)
    assert (found.curve, found.overall, found.pooled.auprc) == ((), None, None)
