"""Small tables with a pattern to find, as columns; and how to write them."""

import csv
from datetime import date, timedelta

import numpy as np

HOME_COLUMNS = ("area", "rooms", "town", "garden", "built", "price")


def homes(n=160, seed=0):
    """Prices of homes: numbers, whole numbers, categories, booleans, dates, and cells that are missing."""
    rng = np.random.default_rng(seed)
    area = rng.uniform(40, 200, n).round(1)
    rooms = rng.integers(1, 7, n)
    town = rng.choice(["Bonn", "Köln", "Trier"], n)
    garden = rng.random(n) < 0.4
    age = rng.integers(0, 20_000, n)
    price = 3 * area + 20 * rooms + 100 * (town == "Köln") + 50 * garden - 0.01 * age + rng.normal(0, 10, n)
    built = [date(2024, 1, 1) - timedelta(days=int(days)) for days in age]
    columns = dict(
        zip(HOME_COLUMNS, (area.tolist(), rooms.tolist(), town.tolist(), garden.tolist(), built), strict=False)
    )
    for name, share in (("area", 0.05), ("town", 0.1), ("garden", 0.05)):
        columns[name] = [
            None if gone else cell for cell, gone in zip(columns[name], rng.random(n) < share, strict=True)
        ]
    return {**columns, "price": price.round(2).tolist()}


def waves(n=60, seed=0):
    """y = sin 2x on a regular grid, in an order of its own."""
    x = np.random.default_rng(seed).permutation(np.linspace(-2, 2, n))
    return {"x": x, "y": np.sin(2 * x)}


def flowers(n=90, seed=0):
    """Three kinds of flower that two lengths tell apart."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    lengths = np.array([[1.0, 4.0], [3.0, 1.0], [5.0, 4.0]])[kind] + rng.normal(0, 0.4, (n, 2))
    return {"petal": lengths[:, 0], "sepal": lengths[:, 1], "kind": np.array(["alba", "lutea", "rubra"])[kind]}


def cell(value):
    """A cell as CSV spells it."""
    return "" if value is None else str(value).lower() if isinstance(value, (bool, np.bool_)) else str(value)


def write(path, columns, delimiter=","):
    """Write columns as CSV and return the path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows([[cell(value) for value in row] for row in zip(*columns.values(), strict=True)])
    return path
