"""The main job from the command line: recover a speed, print a table, write three figures."""

import numpy as np
import pytest

from brainmass_delays import Connectome, cli, demo

FIGURES = ["gradient.png", "loss_over_speed.png", "recovery.png"]


def table(text):
    """Return the numbers of the printed table, one row per start."""
    rows = text.split("(speeds in mm/ms)\n")[1].splitlines()[:3]
    return [[float(word.rstrip("%")) for word in row.split()[:6]] for row in rows]


def test_demo_recovers_the_speed_and_writes_figures(tmp_path, capsys):
    options = ["--quick", "--connectome", "synthetic", "--speed", "3.7", "--out", str(tmp_path)]
    status = cli.main(["demo", *options])
    printed = capsys.readouterr().out
    assert status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == FIGURES
    assert all(path.stat().st_size > 10_000 for path in tmp_path.iterdir())
    true, start, recovered, error, _, steps = table(printed)[0]
    assert true == 3.7
    assert abs(start / true - 1) > 0.01, "the start is wrong"
    assert abs(recovered / true - 1) < 0.01
    assert error == pytest.approx(100 * abs(recovered / true - 1), abs=0.002)
    assert steps == demo.QUICK.n_steps


def test_gradient_of_the_demo_equals_central_differences():
    effort = demo.Effort(duration=60.0)
    experiment = demo.Experiment(Connectome.synthetic(10).normalize("row"), 4.0, effort)
    gradient, differences = experiment.slopes([3.01, 5.03, 8.07])
    np.testing.assert_allclose(gradient, differences["linear"], rtol=1e-6)
    assert np.all(gradient != 0)
    assert np.median(np.abs(differences["nearest"])) == 0


def test_offline_the_synthetic_connectome_takes_over_with_a_notice(monkeypatch, capsys):
    def offline(name):
        raise ConnectionError(f"no network for {name}\nand a long log")

    monkeypatch.setattr(Connectome, "fetch", offline)
    brain = demo.load("hcp", n_synthetic=10)
    printed = capsys.readouterr().out
    assert brain.n_regions == 10
    assert "NOTICE" in printed
    assert "SYNTHETIC" in printed
    assert "no network for hcp" in printed
    assert "long log" not in printed


def test_a_file_is_loaded(tmp_path):
    Connectome.synthetic(8).save(tmp_path / "mine.npz")
    assert demo.load(str(tmp_path / "mine.npz")).n_regions == 8


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--speed", "99"], "demo.speed: must be between 1.2 and 16.7 mm/ms; got 99.0."),
        (["--connectome", "hpc"], "hpc"),
    ],
)
def test_mistakes_are_one_line_and_status_2(arguments, message, capsys):
    assert cli.main(["demo", "--quick", *arguments]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert "Traceback" not in printed


def test_no_command_explains_itself(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([])
    assert stop.value.code == 2
    assert "command" in capsys.readouterr().err
