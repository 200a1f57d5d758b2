"""Why does my network not learn? Causes looked for in rows, neurons, steps and surface, each with its evidence.

    data      columns of another scale, far from 0, with wild cells; targets out of reach; rows that contradict
    units     neurons that are alike, dead, saturated where it hurts, or deaf to the inputs
    steps     steps too long, too short, too few
    ground    saddle, poor minimum, a penalty that holds everything down
    overflow  the first number that was not finite

A finding names its measurements and their thresholds. What it brings about is not listed beside it. `remedies` tests
the advice on a clone.
"""

from deltarule.explain.diagnosis.diagnosing import DETECTORS, EXPLAINS, KINDS, diagnose
from deltarule.explain.diagnosis.finding import Diagnosis, Finding, Measurement, Standing, Trial
from deltarule.explain.diagnosis.overflow import Overflow, first_non_finite

__all__ = [
    "DETECTORS", "EXPLAINS", "KINDS", "Diagnosis", "Finding", "Measurement", "Overflow", "Standing", "Trial",
    "diagnose", "first_non_finite",
]  # fmt: skip
