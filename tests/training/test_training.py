"""Training sounds, the split by recording, and runs that repeat and resume."""

from __future__ import annotations

import csv
import json
import resource
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save

from cli.main import cli
from detectors.starter import RATE
from evaluation.scoring import Span
from evaluation.tables import Labelled
from podcast import audio
from podcast.audio import Wave
from podcast.errors import InputError
from training.corpus import read_manifest
from training.loop import OPTIONS, Recorded, Sounds, TrainingOptions, train
from training.recipes import _sound, recipe_from
from training.sounds import Clip, band_level, mix, without_noise


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small lose more by threads than they gain, above all beside other tests."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def call(seconds: float = 0.8, hertz: float = 900) -> Wave:
    time = np.arange(round(seconds * RATE)) / RATE
    harmonics = np.stack([np.sin(2 * np.pi * k * (hertz * time + 40 * time**2)) / k for k in range(1, 5)])
    return np.asarray(harmonics.sum(axis=0), np.float32)


def clips(*sessions: str) -> tuple[Clip, ...]:
    return tuple(Clip(call(hertz=700 + 100 * i), session) for i, session in enumerate(sessions))


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_mixed_calls_lie_apart_and_inside_and_a_seed_repeats(seed: int) -> None:
    wave, spans = mix(np.random.default_rng(seed), 12, clips("a", "b"), clips("c"), (), most_calls=5)
    assert len(wave) == 12 * RATE
    assert np.isfinite(wave).all() and np.abs(wave).max() <= 1
    assert all(0 <= start < end <= 12 for start, end in spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    again, _ = mix(np.random.default_rng(seed), 12, clips("a", "b"), clips("c"), (), most_calls=5)
    assert np.array_equal(wave, again)


def test_the_marked_span_is_where_the_call_sounds() -> None:
    for seed in range(20):
        wave, spans = mix(np.random.default_rng(seed), 10, clips("a"), (), (), most_calls=1, snr_db=(30, 30))
        for start, end in spans:
            inside = band_level(wave[round(start * RATE) : round(end * RATE)])
            assert inside > 5 * band_level(wave[max(0, round((start - 0.2) * RATE)) : round(start * RATE)])


def test_a_cleaned_call_has_lost_its_noise_and_the_silence_around_it() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 2 * RATE).astype(np.float32)
    tape = noise.copy()
    tape[RATE // 2 : RATE // 2 + len(call())] += call()
    cleaned, colour = without_noise(tape)
    assert 0.7 < len(cleaned) / RATE < 1.0
    power = np.abs(np.fft.rfft(colour)) ** 2
    low, high = (power[int(hertz * len(colour) / RATE) :][: len(colour) // 20].sum() for hertz in (1000, 6000))
    assert low == pytest.approx(high, rel=0.3)  # the noise was white, the call was not
    faint, _ = without_noise(noise)
    assert band_level(faint) < 0.8 * band_level(noise)


def test_a_split_never_shares_a_recording() -> None:
    labelled = tuple(Recorded(np.zeros(10, np.float32), Labelled(session, "all", "h", ())) for session in "bd")
    kept, held = Sounds(clips(*"aabc"), clips(*"abcd"), clips(*"ad"), labelled).split({"a", "d"})
    for half, sessions in ((kept, {"b", "c"}), (held, {"a", "d"})):
        assert {clip.session for clip in (*half.calls, *half.others, *half.backgrounds)} == sessions
        assert {recording.session for recording in half.labelled} == sessions & {"b", "d"}
    assert len(kept.calls) + len(held.calls) == 4


WEIGHTS = "model.safetensors"
TINY = TrainingOptions(epochs=2, steps=2, batch=2, checks=2, held_out=("c",))


def test_the_same_seed_gives_the_same_weights_and_a_resumed_run_too(tmp_path: Path) -> None:
    sounds = Sounds(clips(*"abc"))
    train(recipe_from(None), sounds, TINY, tmp_path / "once")

    def stop(epoch: int, *_: float) -> None:
        if epoch == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe_from(None), sounds, TINY, tmp_path / "resumed", progress=stop)
    train(recipe_from(None), sounds, TINY, tmp_path / "resumed")
    train(recipe_from(None), sounds, replace(TINY, seed=1, epochs=1), tmp_path / "other")
    once, resumed, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("once", "resumed", "other")
    )
    assert set(once) == {WEIGHTS, OPTIONS, "curves.json", "state.safetensors"}
    assert once == resumed
    assert once[WEIGHTS] != other[WEIGHTS]


def test_the_best_epoch_is_kept_by_the_recordings_to_validate_on(tmp_path: Path) -> None:
    sounds, options = Sounds(clips(*"abc")), replace(TINY, validate=("b",), patience=1, epochs=6)
    curves: list[float] = []
    train(recipe_from(None), sounds, options, tmp_path, progress=lambda _, __, precision: curves.append(precision))
    best = curves.index(max(curves))
    assert len(curves) in (best + 2, options.epochs)
    written = load_file(tmp_path / WEIGHTS)
    again = train(recipe_from(None), sounds, options, tmp_path).state_dict()
    assert all(torch.equal(written[name], again[name]) for name in written)


def test_a_folder_with_another_run_and_nothing_to_learn_from_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no call is left"):
        train(recipe_from(None), Sounds(clips("c")), TINY, tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="another recipe or an earlier version wrote this folder"):
        train(recipe_from(None), Sounds(clips(*"abc")), TINY, tmp_path)
    (tmp_path / OPTIONS).write_text("{}")
    with pytest.raises(InputError, match="other options"):
        train(recipe_from(None), Sounds(clips(*"abc")), TINY, tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("state.pt", b"a pickle of an earlier version", "earlier version"),
        ("state.safetensors", b"cut short", "holds no state"),
        ("state.safetensors", save({}, {"format": "pt"}), "holds no state"),
        ("state.safetensors", save({"network.x": torch.zeros(1)}, {"rest": "{}"}), "belong to another network"),
    ],
)
def test_a_state_that_cannot_go_on_is_named(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: .*{words}"):
        train(recipe_from(None), Sounds(clips(*"abc")), TINY, tmp_path)


def manifest(folder: Path) -> Path:
    rows = [
        ("a1.wav", "positive", "tape-a", "call", "CC0"),
        ("b1.wav", "positive", "tape-b", "call", "CC0"),
        ("sea.wav", "negative", "sea", "ambient", "MIT"),
        ("whale.wav", "negative", "catalogue", "humpback sound", "MIT"),
        ("gpl.wav", "negative", "abroad", "dolphins", "GPL-3.0 repositories"),
        ("bout.wav", "positive-bout", "bout", "SRKW bout", "MIT"),
    ]
    for name, *_ in rows:
        audio.write_wav(str(folder / name), 0.3 * call()[:, None], RATE)
    path = folder / "manifest.tsv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerows([("path", "role", "session", "label", "licence"), *rows])
    return path


def test_what_the_licence_does_not_permit_is_never_trained_on(tmp_path: Path) -> None:
    sounds, tests = read_manifest(str(manifest(tmp_path)))
    assert sounds.sessions() == {"tape-a", "tape-b"}
    used = {sound.session for sound in (*sounds.calls, *sounds.others, *sounds.backgrounds)}
    assert used == {"tape-a", "tape-b", "sea", "catalogue"}
    assert {sound.session for sound in tests.backgrounds} == {"abroad"}
    (tmp_path / "bad.tsv").write_text("path\trole\n")
    with pytest.raises(InputError, match="'session', 'label', 'licence'"):
        read_manifest(str(tmp_path / "bad.tsv"))


def test_real_calls_come_with_the_recorders_that_a_split_needs(small_data: Path) -> None:
    sounds, tests = read_manifest(str(small_data / "manifest.tsv"))
    assert (len(sounds.calls), len({clip.session for clip in sounds.calls})) == (12, 10)
    assert [clip.session for clip in sounds.backgrounds] == ["ambient-live"]
    assert {clip.session for clip in sounds.others} - {clip.session for clip in sounds.calls} == {"humpback-catalogue"}
    assert tests == Sounds()
    kept, held = sounds.split({"Ford2022-AMAR618"})
    assert (len(kept.calls), len(held.calls)) == (10, 2)


def test_the_command_leaves_a_whole_run_folder(tmp_path: Path) -> None:
    source, run = manifest(tmp_path), tmp_path / "run"
    arguments = ["train", "--manifest", str(source), "--to", str(run), "--epochs", "1", "--steps", "1", "--json"]
    result = CliRunner().invoke(cli, [*arguments, "--hold-out", "tape-b"])
    assert result.exit_code == 0, result.output
    assert {path.name for path in run.iterdir()} >= {WEIGHTS, OPTIONS, "curves.png", "curves.json", "scores.json"}
    scores = json.loads(result.stdout)
    assert scores["held_out"] == ["tape-b"]
    assert {(row["group"], row["detector"]) for row in scores["average_precision"]} == {
        (group, detector) for group in ("tape-b", "all") for detector in ("trained", "energy")
    }
    table = tmp_path / "p.tsv"
    detected = CliRunner().invoke(
        cli, ["detect", str(tmp_path / "a1.wav"), "--detector", f"starter:{run / WEIGHTS}", "-o", str(table)]
    )
    assert detected.exit_code == 0, detected.output
    assert CliRunner().invoke(cli, [*arguments, "--hold-out", "nobody"]).exit_code == 2


def test_a_full_disk_is_one_line_that_names_the_file_and_leaves_no_half_of_it(tmp_path: Path) -> None:
    source, run = manifest(tmp_path), tmp_path / "run"
    arguments = ["train", "--manifest", str(source), "--to", str(run), "--epochs", "1", "--steps", "1", "--hold-out", "tape-b"]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))  # a disk too small for the weights, not for the options
    try:
        result = CliRunner().invoke(cli, arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (result.exit_code, result.stderr.count("error: ")) == (1, 1), result.output
    assert f"error: {run / WEIGHTS}: cannot be written" in result.stderr
    assert [path.name for path in run.iterdir()] == [OPTIONS]


def test_a_labelled_release_can_be_learned_from(tmp_path: Path) -> None:
    for name in ("a_rec.wav", "b_rec.wav"):
        audio.write_wav(str(tmp_path / name), 0.3 * np.tile(call(), 15)[:, None], RATE)
    table = "wav_filename\tstart_time_s\tduration_s\n" + "a_rec.wav\t1\t2\n" + "b_rec.wav\t0\t0\n"
    (tmp_path / "train.tsv").write_text(table)
    arguments = ["train", "--truth", str(tmp_path / "train.tsv"), "--to", str(tmp_path / "run"), "--epochs", "1", "--steps", "1"]
    missing = CliRunner().invoke(cli, arguments)
    assert missing.exit_code == 2 and "--audio is missing" in missing.output
    result = CliRunner().invoke(cli, [*arguments, "--audio", str(tmp_path), "--hold-out", "b_rec"])
    assert result.exit_code == 0, result.output


def test_named_sounds_are_negatives_of_their_kind(tmp_path: Path) -> None:
    """A humpback from 5 to 8 s, a ship below the call: only the humpback is a sound that holds no call."""
    sounds = (("Humpback", Span(5, 3)), ("Vessel", Span(0.5, 2)))
    recording = Recorded(np.zeros(60 * RATE, np.float32), Labelled("a", "all", "h", (Span(1, 1),), 60.0, sounds))
    given = Sounds(others=(Clip(call(), "c", "Humpback"),) * 6 + clips("d"), labelled=(recording,))
    assert recording.others == [("Humpback", Span(5, 3))]
    assert given.negatives() == {"Humpback": 2}
    assert given.split({"a"})[0].negatives() == {"Humpback": 1}

    quiet = Recorded(np.zeros(3600 * RATE, np.float32), Labelled("b", "all", "h", (), 3600.0, (("Water", Span(3000, 1)),)))
    wave = quiet.wave[:].copy()
    wave[3000 * RATE : 3001 * RATE] = 1
    marked = replace(quiet, wave=wave)
    met = [_sound(np.random.default_rng(seed), Sounds(labelled=(marked,)))[0].any() for seed in range(200)]
    assert 25 < sum(met) < 80  # about a quarter of the windows; by chance it would be one of 360


def test_the_command_counts_them_and_their_false_alarms(tmp_path: Path) -> None:
    for name in ("a_rec.wav", "b_rec.wav"):
        audio.write_wav(str(tmp_path / name), 0.3 * np.tile(call(), 15)[:, None], RATE)
    (tmp_path / "train.tsv").write_text("wav_filename\tstart_time_s\tduration_s\na_rec.wav\t1\t2\nb_rec.wav\t1\t2\n")
    (tmp_path / "sounds.csv").write_text("session_id,start_time_s,end_time_s,source\na_rec,5,6,Vessel\nb_rec,8,9,Humpback\n")
    arguments = [
        "train",
        "--truth",
        str(tmp_path / "train.tsv"),
        "--sounds",
        str(tmp_path / "sounds.csv"),
        "--audio",
        str(tmp_path),
    ]
    arguments += ["--to", str(tmp_path / "run"), "--epochs", "1", "--steps", "1", "--hold-out", "b_rec", "--json"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    scores = json.loads(result.stdout)
    assert scores["negatives"] == {"Vessel": 1}
    assert {(row["detector"], row["source"], row["sounds"]) for row in scores["false_alarms"]} == {
        ("trained", "Humpback", 1),
        ("energy", "Humpback", 1),
    }
