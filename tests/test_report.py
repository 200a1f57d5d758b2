"""Scores against scikit-learn's metrics, on random rows and on the edges."""

import numpy as np
import pytest
from sklearn import metrics

from deltarule import report


@pytest.mark.parametrize("k", [1, 3])
def test_regression_scores_are_those_of_scikit_learn(k):
    rng = np.random.default_rng(k)
    observed = rng.normal(5, 3, (200, k)) * 10.0 ** np.arange(k)
    predicted = observed + rng.normal(0, 1, (200, k))
    scores = report.score_regression(observed, predicted)
    assert scores.r2 == pytest.approx(metrics.r2_score(observed, predicted), rel=1e-12)
    assert scores.rmse == pytest.approx(metrics.root_mean_squared_error(observed, predicted), rel=1e-12)
    assert scores.mae == pytest.approx(metrics.mean_absolute_error(observed, predicted), rel=1e-12)


def test_perfect_and_mean_predictions():
    observed = np.array([[1.0], [2.0], [6.0]])
    perfect = report.score_regression(observed, observed.copy())
    assert (perfect.r2, perfect.rmse, perfect.mae) == (1, 0, 0)
    assert report.score_regression(observed, np.full((3, 1), 3.0)).r2 == pytest.approx(0, abs=1e-15)


def test_r2_of_equal_observations_is_undefined():
    scores = report.score_regression(np.ones((4, 1)), np.array([[1.0], [2.0], [1.0], [1.0]]))
    assert np.isnan(scores.r2) and scores.mae == 0.25
    assert scores.to_dict() == {"r2": None, "rmse": 0.5, "mae": 0.25}


def test_r2_too_large_for_a_number_is_undefined():
    observed = np.array([[0.0], [1e-160]])
    scores = report.score_regression(observed, observed + 1.0)
    assert scores.to_dict()["r2"] is None and scores.rmse == 1.0


@pytest.mark.parametrize("k", [2, 4])
def test_class_scores_are_those_of_scikit_learn(k):
    rng = np.random.default_rng(k)
    classes = [f"class {i}" for i in range(k)]
    observed = rng.integers(0, k, 300)
    E = rng.normal(size=(300, k)) + 2 * np.eye(k)[observed]
    P = np.exp(E) / np.exp(E).sum(axis=1, keepdims=True)
    predicted = P.argmax(axis=1)
    scores = report.score_classes(observed, P, classes)
    assert scores.accuracy == pytest.approx(metrics.accuracy_score(observed, predicted))
    assert scores.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(observed, predicted))
    assert scores.log_loss == pytest.approx(metrics.log_loss(observed, P, labels=range(k)), rel=1e-9)
    assert scores.confusion == metrics.confusion_matrix(observed, predicted).tolist()
    assert scores.classes == classes


def test_a_class_that_no_row_has_counts_in_nothing_but_the_confusion():
    observed = np.array([0, 0, 1, 1])
    P = np.array([[0.6, 0.2, 0.2], [0.1, 0.2, 0.7], [0.2, 0.7, 0.1], [0.2, 0.7, 0.1]])
    scores = report.score_classes(observed, P, ["a", "b", "c"])
    assert scores.balanced_accuracy == 0.75
    assert scores.confusion == [[1, 0, 1], [0, 2, 0], [0, 0, 0]]


def test_a_wrong_certainty_costs_much_but_not_infinitely_much():
    scores = report.score_classes(np.array([0]), np.array([[0.0, 1.0]]), ["a", "b"])
    assert scores.log_loss == pytest.approx(-np.log(report.SMALLEST_PROBABILITY))


def test_label_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    observed = (rng.random((200, 3)) < 0.4).astype(float)
    P = np.clip(observed * 0.4 + rng.random((200, 3)) * 0.6, 0.01, 0.99)
    scores = report.score_labels(observed, P)
    predicted = P > 0.5
    assert scores.exact == pytest.approx(metrics.accuracy_score(observed, predicted))
    assert scores.accuracy == pytest.approx(1 - metrics.hamming_loss(observed, predicted))
    each = [metrics.log_loss(observed[:, j], P[:, j], labels=[0, 1]) for j in range(3)]
    assert scores.log_loss == pytest.approx(np.mean(each), rel=1e-12)


def test_an_even_probability_says_no_as_predictions_do():
    assert report.score_labels(np.array([[0.0]]), np.array([[0.5]])).accuracy == 1


def test_several_targets_are_scored_each_by_itself_too():
    observed = np.array([[1.0, 10.0], [2.0, 30.0], [3.0, 20.0]])
    scores = report.score_regression(observed, observed + np.array([0.0, 5.0]), ["a", "b"])
    assert [one["target"] for one in scores.each] == ["a", "b"] and [one["rmse"] for one in scores.each] == [0, 5]
    assert scores.rmse == 2.5 and "each" not in report.score_regression(observed[:, :1], observed[:, :1]).to_dict()
