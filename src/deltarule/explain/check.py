"""Checks: a gradient against numeric slopes, a formula against its differences, a function against known mistakes.

    gradient      of an objective at w, weight by weight, each with a computed bound
    model         the same for a model on a table
    formula       is df the slope of f?
    rule          which rule is your code using?

>>> import numpy as np
>>> from deltarule.explain import check
>>> check.formula(np.sin, np.cos).right
True
"""

from deltarule.explain.check_formula import FormulaCheck, PlaceCheck, formula
from deltarule.explain.check_gradient import GradientCheck, LayerCheck, WeightCheck, gradient
from deltarule.explain.check_model import model
from deltarule.explain.check_rule import RuleCheck, rule

__all__ = [
    "FormulaCheck", "GradientCheck", "LayerCheck", "PlaceCheck", "RuleCheck", "WeightCheck",
    "formula", "gradient", "model", "rule",
]  # fmt: skip
