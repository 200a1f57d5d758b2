"""Why did this weight move? Every factor of every step, what happens without the derivative, and what goes wrong.

Here are

    update        one step of any method, taken apart: factors, error signals down to the loss, the method's own terms
    Recorder      the same in a run: ``dr.train(..., record=Recorder("hidden1[3]"))``
    why           a table with and without the derivative, and the answer in numbered facts
    rules         what stands in the place of f′ in the rules of `why`, for teaching
    teach         online and batch descent by one of them
    diagnose      why training stands still: findings with evidence, and a test of each advice
    Health        f′ per neuron, gradients and updates per layer, at one w; HealthRecorder records them in a run
    first_non_finite   row, layer, neuron and epoch of the first number that was not finite
    check         a gradient, a formula or a function of your own: is it right, and if not, which mistake is it?
    surface       the error surface over a plane through the weights, with the way of a run upon it
    walk          the way of a run alone
"""

from deltarule.explain import check, rules
from deltarule.explain.course import teach
from deltarule.explain.diagnosis import Diagnosis, Finding, Overflow, diagnose, first_non_finite
from deltarule.explain.explaining import update
from deltarule.explain.health import Health, LayerHealth, NeuronHealth
from deltarule.explain.health import measure as health_at
from deltarule.explain.health_recorder import HealthRecorder
from deltarule.explain.names import Names
from deltarule.explain.planes import Plane
from deltarule.explain.recorder import Recorded, Recorder
from deltarule.explain.step import Factors, Update
from deltarule.explain.surfaces import Surface
from deltarule.explain.survey import surface
from deltarule.explain.terms import Account, Taken, Term
from deltarule.explain.walks import Walk, walk
from deltarule.explain.whys import Why, why

__all__ = [
    "Account", "Diagnosis", "Factors", "Finding", "Health", "HealthRecorder", "LayerHealth", "Names", "NeuronHealth",
    "Overflow", "Plane", "Recorded", "Recorder", "Surface", "Taken", "Term", "Update", "Walk", "Why", "check",
    "diagnose", "first_non_finite", "health_at", "rules", "surface", "teach", "update", "walk", "why",
]  # fmt: skip
