"""Explaining: milliseconds for a row of a 64-64 network, and the facts of `why` on XOR and two real tables."""

from sidebyside import machine, one_thread, table, versions

one_thread()

from statistics import median  # noqa: E402  # after the number of threads is set
from time import process_time  # noqa: E402

import numpy as np  # noqa: E402
from sklearn.datasets import load_diabetes, load_iris  # noqa: E402

import deltarule as dr  # noqa: E402
from deltarule import explain  # noqa: E402

WANTED = 50
"""Milliseconds that explaining a row may take."""
REPEATS = 30
XOR = {"a": [0, 0, 1, 1], "b": [0, 1, 0, 1], "y": [0, 1, 1, 0]}


def ways():
    """Return what is timed: a row of a 10-64-64-1 network, explained by several methods and shown in several ways."""
    network = dr.Network((10, 64, 64, 1), ("tanh", "tanh", "identity"))
    w, x = network.initial_weights(0), np.linspace(-1, 1, 10)
    online = explain.update(network, x, [0.3], w=w)
    assert np.all(online.error == 0)

    def by(method, show=str):
        return lambda: show(explain.update(network, x, [0.3], w=w, method=method))

    return {
        "online, as text": by("online"),
        "online, one weight with its chain": by("online", lambda update: update.text("hidden1[3] <- input[0]")),
        "adam, as text": by("adam"),
        "conjugate gradient, as text": by("cg"),
        "online, all 4,929 weights as JSON values": by("online", lambda update: update.to_dict()),
    }


def processor_time(work):
    """Return the median seconds of the processor that some work takes: what others do meanwhile does not count."""
    work()
    seconds = []
    for _ in range(REPEATS):
        start = process_time()
        work()
        seconds.append(process_time() - start)
    return median(seconds)


def real_table(load):
    """Return a table of scikit-learn's as columns."""
    data = load()
    named = getattr(data, "target_names", None)
    target = data.target if named is None else np.array(named)[data.target].astype(object)
    return {**dict(zip(data.feature_names, data.data.T, strict=True)), "target": target}


def facts(name, columns, target):
    """Return a line of the table of facts."""
    found = explain.why(columns, target)
    one, _, three, four, *_ = found.facts
    solved = four.numbers["solved"]
    return [
        name,
        f"{sum(fact.holds is True for fact in found.facts)} of {len(found.facts)}",
        f"{one.numbers['cases_reversed']} of {one.numbers['cases']:,}",
        f"{max(three.numbers['relative_difference'].values()):.0e}",
        *(
            " · ".join(f"{solved[rule][rate]}" for rate in ("0.1", "0.5", "2"))
            for rule in ("gradient", "omit_hidden", "omit")
        ),
    ]


def report():
    """Print the section."""
    seconds = {name: processor_time(work) for name, work in ways().items()}
    print("## Explaining\n")
    print(f"{machine()}; {versions('numpy', 'scikit-learn')}.\n")
    print(f"A row of a 10-64-64-1 network, processor time, one thread, median of {REPEATS}; aimed at: {WANTED} ms.\n")
    print(table(["a row", "ms"], [[name, f"{1e3 * each:.1f}"] for name, each in seconds.items()]))
    print(
        "\n`deltarule why` with its defaults: 20 starts a rule, learning rates 0.1, 0.5 and 2. Fact 1: steps that turn "
        "a weight round, for one row, one output and one hidden layer. Fact 3: largest relative difference from the "
        "gradient of cross-entropy. Fact 4: runs that succeeded, of 20, at each learning rate.\n"
    )
    header = ["table", "facts as stated", "fact 1", "fact 3", "gradient", "no hidden f′", "no f′"]
    real = {"iris": load_iris, "diabetes": load_diabetes}
    rows = [facts("XOR", XOR, "y"), *(facts(name, real_table(load), "target") for name, load in real.items())]
    print(table(header, rows))


if __name__ == "__main__":
    report()
