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


def off_grid(past):
    """Return how far a number is from a multiple of 2⁻⁶⁰, the last place of what it is added to."""
    scaled = past * mp.mpf(2) ** 60
    return abs(scaled - mp.nint(scaled))


def tanh_entry(j, k, bits):
    """Return G near k 2^(−j/16) of so many bits, and how far c, which belongs to it, is before j steps."""
    size = mp.mpf(2) ** (bits - 1)
    near = int(mp.nint(k * mp.mpf(2) ** (-mp.mpf(j) / 16) * size))
    G = mp.mpf(k) if j == 0 else near / size
    return G, j * LN2 / 32 + mp.log(G / k) / 2


def tanh_table(k, bits, dtype, to_exponent):
    """Print power and past of math/tanh_table.hpp, where they are explained, and its polynomial.

    What the rounded step loses n times goes into the entry of n = j; in float64 that of n = 16 + j for j of 7 to 9,
    because a rounding weighs most where tanh is just below ½. The second entry there is one of 15 bits whose
    distance has few bits itself.
    """
    double = dtype is np.float64
    lost = LN2 / 32 - mp.mpf(float(dtype(float(LN2 / 32))))
    entries = [tanh_entry(j, k, bits) for j in range(16)]
    if double:
        units = [i / mp.mpf(2) ** 14 for i in range(int(mp.mpf(2) ** 14 * entries[1][0]) - 15, 2**15)][:31]
        both = [(G, LN2 / 32 + mp.log(G / k) / 2) for G in units]
        entries[1] = min(both, key=lambda entry: off_grid(entry[1] - lost))
    power = [dtype(float(G)).view(np.int64 if double else np.int32) for G, _ in entries]
    print(f"tanh_table<{'double' if double else 'float'}>")
    print("    power", ", ".join(hex(int(bits) + (j << to_exponent)) for j, bits in enumerate(power)))
    past = [c - lost * (16 + j if double and 7 <= j <= 9 else j) for j, (_, c) in enumerate(entries)]
    print("    past", ", ".join(float(dtype(float(c))).hex() for c in past))
    reach = LN2 / 64 + max(abs(c) for _, c in entries)
    terms = 3 if double else 1
    squares = chebyshev(mp.mpf(0), reach**2, terms)
    system = mp.matrix([[z**i for i in range(terms)] for z in squares])
    q = mp.lu_solve(system, mp.matrix([(mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z for z in squares]))
    print("    q", ", ".join(float(dtype(float(c))).hex() for c in q))


def main():
    """Print all of them."""
    centred, positive = (-LN2 / 2 - MARGIN, LN2 / 2 + MARGIN), (mp.mpf(0), LN2 + MARGIN)
    show("exp_constants<double>::centred", minimax(q_of_exp, exp_weight, *centred, 10))
    show("exp_constants<double>::positive", minimax(q_of_exp, exp_weight, *positive, 9))
    show("exp_constants<float>::centred", minimax(q_of_exp, exp_weight, *centred, 5), np.float32)
    show("exp_constants<float>::positive", minimax(q_of_exp, exp_weight, *positive, 5), np.float32)
    ends = [(z - PIVOT) / (z + PIVOT) for z in (mp.mpf("0.48"), mp.mpf(40))]
    show("normal_far (leading first)", minimax(far, lambda u: 1 / far(u), *ends, 22, rounds=6))
    tanh_table(mp.mpf(253) / 128, 11, np.float64, 48)
    tanh_table(mp.mpf(63) / 32, 7, np.float32, 19)
    show("normal_near", minimax(near, lambda q: 1 / near(q), mp.mpf(0), mp.mpf("0.26"), 7))


if __name__ == "__main__":
    main()
