"""Print the polynomials of native/math: minimax approximations by Remez's exchange, in 200-bit arithmetic.

python native/tests/minimax.py
"""

import mpmath as mp
import numpy as np

mp.mp.prec = 200
FINE = 40
"""Points searched for extremes, per coefficient."""
LN2 = mp.log(2)
MARGIN = mp.mpf("0.001")
"""How far beyond its interval a reduced argument may lie by rounding."""


def chebyshev(a, b, n):
    """Return n points of [a, b] that crowd towards its ends."""
    return [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]


def minimax(f, weight, a, b, degree, rounds=12):
    """Return coefficients, lowest first, and the largest weight · |f − P| on [a, b]."""
    n = degree + 2
    points = chebyshev(a, b, n)
    grid = [a + (b - a) * (1 - mp.cos(mp.pi * i / (FINE * n))) / 2 for i in range(FINE * n + 1)]
    for _ in range(rounds):
        system = mp.matrix(n, n)
        for i, x in enumerate(points):
            for j in range(degree + 1):
                system[i, j] = x**j
            system[i, n - 1] = (-1) ** i / weight(x)
        solution = mp.lu_solve(system, mp.matrix([f(x) for x in points]))
        coefficients = [solution[j] for j in range(degree + 1)]
        errors = [weight(x) * (f(x) - mp.polyval(coefficients[::-1], x)) for x in grid]
        extremes = alternating(errors)
        if len(extremes) < n:
            break
        while len(extremes) > n:
            extremes.pop(0 if abs(errors[extremes[0]]) < abs(errors[extremes[-1]]) else -1)
        points = [grid[i] for i in extremes]
    return coefficients, max(abs(e) for e in errors)


def alternating(errors):
    """Return where the error is largest on each stretch of one sign."""
    extremes, best = [], 0
    for i, error in enumerate(errors):
        if error != 0 and mp.sign(error) != mp.sign(errors[best]):
            extremes.append(best)
            best = i
        elif abs(error) > abs(errors[best]):
            best = i
    return [*extremes, best]


def show(title, found, dtype=np.float64):
    """Print coefficients as hexadecimal constants of that format."""
    coefficients, error = found
    print(f"{title}: error 2^{float(mp.log(error, 2)):.1f}")
    print("   ", ", ".join(float(dtype(float(c))).hex() for c in coefficients))


def q_of_exp(r):
    """Return (e^r − 1 − r) / r²."""
    return (mp.expm1(r) - r) / r**2 if abs(r) > mp.mpf(10) ** -20 else mp.mpf(1) / 2 + r / 6


def exp_weight(r):
    """Return what an error of Q weighs in e^r − 1, relatively."""
    return abs(r**2 / mp.expm1(r)) + mp.mpf(10) ** -20 if r else mp.mpf(10) ** -20


PIVOT, SHIFT = 4, mp.mpf("0.75")


def far(u):
    """Return F(u) of math/normal.hpp."""
    z = PIVOT * (1 + u) / (1 - u)
    return (z + SHIFT) * mp.exp(z * z / 2) * mp.erfc(z / mp.sqrt(2)) / 2


def near(square):
    """Return (Φ(x) − ½) / x as a function of x²."""
    x = mp.sqrt(square)
    return mp.erf(x / mp.sqrt(2)) / 2 / x if x > mp.mpf(10) ** -30 else 1 / mp.sqrt(2 * mp.pi)


def main():
    """Print all of them."""
    centred, positive = (-LN2 / 2 - MARGIN, LN2 / 2 + MARGIN), (mp.mpf(0), LN2 + MARGIN)
    show("exp_constants<double>::centred", minimax(q_of_exp, exp_weight, *centred, 10))
    show("exp_constants<double>::positive", minimax(q_of_exp, exp_weight, *positive, 9))
    show("exp_constants<float>::centred", minimax(q_of_exp, exp_weight, *centred, 5), np.float32)
    show("exp_constants<float>::positive", minimax(q_of_exp, exp_weight, *positive, 5), np.float32)
    ends = [(z - PIVOT) / (z + PIVOT) for z in (mp.mpf("0.48"), mp.mpf(40))]
    show("normal_far (leading first)", minimax(far, lambda u: 1 / far(u), *ends, 22, rounds=6))
    show("normal_near", minimax(near, lambda q: 1 / near(q), mp.mpf(0), mp.mpf("0.26"), 7))


if __name__ == "__main__":
    main()
