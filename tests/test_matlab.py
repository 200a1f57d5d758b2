"""MATLAB's names of settings, and that the reference pages know them."""

from dataclasses import fields

import pytest

from deltarule import methods, stopping
from deltarule.errors import SettingError
from deltarule.methods import matlab


@pytest.mark.parametrize("name", matlab.SETTINGS)
def test_settings_named_after_matlab_exist(name):
    ours = {row.name for row in fields(methods.METHODS[name])}
    assert set(matlab.SETTINGS[name].values()) <= ours


def test_stop_rules_named_after_matlab_exist():
    assert all(callable(getattr(stopping, rule)) for rule in matlab.STOPS.values())


@pytest.mark.parametrize(
    ("method", "setting", "advice"),
    [
        ("trainrp", "delt_inc", "MATLAB's delt_inc is increase here."),
        ("traingdx", "lr_inc", "MATLAB's lr_inc is increase here."),
        ("trainscg", "lambda", "MATLAB's lambda is damping here."),
        ("trainlm", "max_fail", r"stop=\[stopping.MaxFail\(...\)\]"),
        ("trainbr", "showWindow", "observe=observers.Log"),
    ],
)
def test_matlab_settings_are_refused_with_their_name_here(method, setting, advice):
    with pytest.raises(SettingError, match=advice):
        methods.get(method, **{setting: 1})


def test_settings_of_nobody_are_refused_as_ever():
    with pytest.raises(SettingError, match=r"increasing.*Did you mean increase.*smallest_step, seed\.$"):
        methods.get("trainrp", increasing=2)
