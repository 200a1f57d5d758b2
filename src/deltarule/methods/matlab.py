"""MATLAB's names of settings: what they are called here, and which of them are no settings of a method.

MATLAB keeps in ``net.trainParam`` what belongs to the method beside what says when to stop and what is shown.
"""

SETTINGS: dict[str, dict[str, str]] = {
    "online": {"lr": "learning_rate"},
    "gradient_descent": {
        "lr": "learning_rate", "mc": "momentum", "lr_inc": "increase", "lr_dec": "decrease",
        "max_perf_inc": "max_increase",
    },
    "conjugate_gradient": {"searchFcn": "search"},
    "rprop": {
        "delt_inc": "increase", "delt_dec": "decrease", "delta0": "first_step", "deltamax": "largest_step",
    },
    "scaled_conjugate_gradient": {"sigma": "sigma", "lambda": "damping"},
    "lbfgs": {"searchFcn": "search"},
    "levenberg_marquardt": {"mu": "mu", "mu_dec": "mu_dec", "mu_inc": "mu_inc", "mu_max": "mu_max"},
    "bayesian_regularization": {"mu": "mu", "mu_dec": "mu_dec", "mu_inc": "mu_inc", "mu_max": "mu_max"},
}  # fmt: skip
"""By method: MATLAB's name of a setting and the name here."""

STOPS = {"epochs": "MaxSteps", "goal": "Goal", "min_grad": "MinGrad", "max_fail": "MaxFail", "time": "MaxSeconds"}
"""MATLAB's settings that are stop rules here, by the names of `deltarule.stopping`."""

SHOWN = ("show", "showCommandLine", "showWindow")
"""MATLAB's settings of what is shown; here that is an observer's affair."""


def advice(method: str, setting: str) -> str:
    """Return what a setting that a method does not have is here, a sentence; or an empty string.

    Examples
    --------
    >>> advice("rprop", "delt_inc")
    "MATLAB's delt_inc is increase here."
    """
    if setting in SETTINGS.get(method, {}):
        return f"MATLAB's {setting} is {SETTINGS[method][setting]} here."
    if setting in STOPS:
        return f"MATLAB's {setting} is a stop rule here: train(..., stop=[stopping.{STOPS[setting]}(...)])."
    if setting in SHOWN:
        return f"MATLAB's {setting} is an observer here: train(..., observe=observers.Log())."
    return ""
