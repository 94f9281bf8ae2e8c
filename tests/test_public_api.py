"""The public names exist, say what they do, and are where their source is."""

import importlib
import inspect
import re
from importlib import resources
from pathlib import Path

import brainstate
import pytest

import brainmass_delays

ROOT = Path(__file__).parents[1]

# All that is at the top: what one types in the first hour. The rest is in the namespaces.
NAMES = """
Network Projection Connectome Delay PlasticDelay Param Simulator prefetch prefetch_delay delay_index
get_params set_params use_cores ArgumentError RunError
Fitter FitResult fit_many CohortResult sweep SweepResult priors
WhiteNoise OUNoise ColoredNoise MultiplicativeNoise Heterogeneous Grouped read_maps
Coupling SeparableCoupling AdditiveCoupling DiffusiveCoupling HyperbolicTangentCoupling KuramotoCoupling
LaplacianCoupling PowerLawCoupling SigmoidalCoupling SigmoidalJansenRitCoupling
NeuralMass describe LinearStep HopfStep Generic2dOscillatorStep KuramotoStep FitzHughNagumoStep WilsonCowanStep
JansenRitStep MontbrioPazoRoxinStep ReducedWongWangStep WongWangExcInhStep EpileptorStep Epileptor2DStep
CoombesByrneStep CoombesByrne4DStep LarterBreakspearStep DumontGutkinStep GastSchmidtKnoscheSDStep
GastSchmidtKnoscheSFStep ThalamusStep ZerlautStep ALNStep StuartLandauStep
couplings nodes stimuli observe objectives datasets integrate viz predictive spiking
"""

NAMESPACES = {
    "couplings": "COUPLINGS additive_coupling diffusive_coupling hyperbolic_tangent_coupling kuramoto_coupling "
    "laplacian_coupling powerlaw_coupling sigmoidal_coupling sigmoidal_jansen_rit_coupling signed_power",
    "nodes": "NODES CascadeTable Inhibition Input Parameter StateVariable feedback_inhibition tune_inhibition",
    "objectives": "timeseries_rmse timeseries_mse fc_corr fc_rmse spectrum combine fcd_distance group_delay_rmse",
    "observe": "Balloon Chain Covariance CrossSpectrum GlobalAverage HRF LeadField Monitor RegionAverage "
    "SensorNoise Spectrum SubSample TemporalAverage Trajectory apply",
    "datasets": "fetch subjects",
    "viz": "plot_timeseries plot_connectivity plot_functional_connectivity plot_power_spectrum "
    "plot_fit plot_loss_landscape",
    "stimuli": "Pulse PulseTrain Ramp Alpha Sine Data BandNoise Feedback Constant Sum Product Stimulus site",
    "integrate": "solve_ode solve_dde",
}

PARTS = {name: getattr(brainmass_delays, name) for name in brainmass_delays.__all__ if name != "Param"}
PUBLIC = sorted(name for name, part in PARTS.items() if inspect.isclass(part) or inspect.isfunction(part))
# results, errors and declarations, which appear in the example of what makes them
SHOWN_ELSEWHERE = {
    "CascadeTable",
    "FitResult",
    "Inhibition",
    "Input",
    "Parameter",
    "RunError",
    "StateVariable",
}


@pytest.mark.parametrize("name", NAMES.split())
def test_name_exists(name):
    assert getattr(brainmass_delays, name) is not None


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_namespace_holds(namespace):
    module = getattr(brainmass_delays, namespace)
    missing = [name for name in NAMESPACES[namespace].split() if not hasattr(module, name)]
    assert not missing


def test_the_top_level_holds_these_names_and_no_others():
    assert sorted(brainmass_delays.__all__) == sorted(NAMES.split())
    assert set(brainmass_delays.nodes.NODES) | {
        model.__name__ for model in brainmass_delays.couplings.COUPLINGS.values()
    } <= set(NAMES.split()), "a new model or coupling is at the top, too"


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Netwrok"):
        brainmass_delays.Netwrok  # noqa: B018


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring(name):
    part = getattr(brainmass_delays, name)
    text = inspect.getdoc(part)
    first = text.splitlines()[0]
    assert first.endswith((".", ".``"))
    assert len(first) <= 130
    assert (">>>" in text) != (name in SHOWN_ELSEWHERE), "a public object has an example"


@pytest.mark.parametrize("name", PUBLIC)
def test_source_can_be_found(name):
    part = getattr(brainmass_delays, name)
    assert part.__module__.startswith("brainmass_delays.")
    assert hasattr(importlib.import_module(part.__module__), name)
    assert inspect.getsource(part)


def test_package_is_typed():
    assert resources.files("brainmass_delays").joinpath("py.typed").is_file()


def test_version_is_the_same_everywhere():
    written = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE).group(1)
    assert brainmass_delays.__version__ == written
    cited = re.search(r"^version: (.+)", (ROOT / "CITATION.cff").read_text(), re.MULTILINE).group(1)
    assert cited == written


@pytest.mark.parametrize(
    "namespace", ["", ".observe", ".stimuli", ".spiking", ".predictive", ".couplings", ".fit.priors"]
)
def test_signatures_show_the_arguments(namespace):
    """What a notebook shows of a class is what its constructor takes."""
    module = importlib.import_module(f"brainmass_delays{namespace}")
    for name in module.__all__:
        part = getattr(module, name)
        if inspect.isclass(part) and issubclass(part, brainstate.graph.Node):
            assert list(inspect.signature(part).parameters) != ["args", "kwargs"], name
