"""scikit-learn's own checks of the estimators, with every solver: none is expected to fail but where listed."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from deltarule import MLPClassifier, MLPRegressor
from deltarule.methods import METHODS, Online
from deltarule.methods.gradient_descent import GradientDescent

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SOLVERS = dict.fromkeys(["adam", "sgd", "lbfgs", *METHODS])
"""scikit-learn's three, and every method."""
OTHERS = {"gradient_descent": GradientDescent(0.3, momentum=0.9), "online": Online(0.05)}
"""Methods whose default learning rate needs more than a few iterations."""
SCALED = {"online": {"scale": "standard"}}
"""Row by row, a learning rate suits one scale of the targets alone."""
ITERATIONS = {"adam": 60, "sgd": 100, "gradient_descent": 60, "online": 60, "conjugate_gradient": 30}
ROW_BY_ROW = {
    f"check_sample_weight_equivalence_on_{kind}_data": "a row that is visited twice moves the weights twice, each time "
    "from where they are; a row that weighs 2 moves them once, twice as far"
    for kind in ("dense", "sparse")
}


def estimators():
    """Yield an estimator for each kind and solver, small enough that all its checks take a second."""
    for solver in SOLVERS:
        settings = {
            "hidden_layer_sizes": (6,), "solver": OTHERS.get(solver, solver),
            "learning_rate_init": 0.03, "max_iter": ITERATIONS.get(solver, 15), **SCALED.get(solver, {}),
        }  # fmt: skip
        yield MLPRegressor(**settings)
        squared = {"loss": "squared_error"} if solver == "bayesian_regularization" else {}
        yield MLPClassifier(**settings, **squared)


def expected_failures(estimator):
    """Return the checks that may fail, with the reason."""
    return ROW_BY_ROW if isinstance(estimator.solver, Online) else {}


@pytest.mark.promise("P10")
@parametrize_with_checks(list(estimators()), expected_failed_checks=expected_failures)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
