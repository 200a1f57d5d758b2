"""The methods in plain loops over weights and pairs, written from the papers; nothing here comes from the package.

Vectors are lists. Each function takes `value_grad`, a function of a list that returns a number and a list.
"""


def sign(x):
    return (x > 0) - (x < 0)


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def along(w, a, d):
    return [x + a * y for x, y in zip(w, d, strict=True)]


def minus(a, b):
    return along(a, -1.0, b)


def rprop(variant, value_grad, w, steps, first, up=1.2, down=0.5, largest=50.0, smallest=1e-6):
    """Return the weights after each step: Igel and Hüsken 2003, algorithms 1 to 4, one weight at a time."""
    n, w = len(w), list(w)
    size, g_before, moved, path = list(first), [0.0] * n, [0.0] * n, [list(w)]
    loss_before, (loss, g) = None, value_grad(w)
    for _ in range(steps):
        for i in range(n):
            turned, gi = g_before[i] * g[i], g[i]
            if turned > 0:
                size[i] = min(size[i] * up, largest)
            elif turned < 0:
                size[i] = max(size[i] * down, smallest)
            change = -sign(gi) * size[i]
            if turned < 0 and variant == "rprop+":
                change, gi = -moved[i], 0.0
            elif turned < 0 and variant == "irprop+":
                change, gi = (-moved[i] if loss > loss_before else 0.0), 0.0
            elif turned < 0 and variant == "irprop-":
                change, gi = 0.0, 0.0
            w[i] += change
            moved[i], g_before[i] = change, gi
        loss_before, (loss, g) = loss, value_grad(w)
        path.append(list(w))
    return path


def scaled_conjugate_gradient(value_grad, w, steps, sigma=5e-5, lam=5e-7, restart_every=None):
    """Return the weights after each success: Møller 1993, steps 1 to 9 with λ̄ as there, and the package's restarts."""
    loss, g = value_grad(w)
    r = [-x for x in g]
    p, success, lam_bar, since, path = r, True, 0.0, 0, [list(w)]
    while len(path) <= steps:
        pp = dot(p, p)
        if success:
            s_k = sigma / pp**0.5
            nearby = value_grad(along(w, s_k, p))[1]
            delta = dot(p, [x / s_k for x in minus(nearby, g)])
        delta += (lam - lam_bar) * pp
        if delta <= 0:
            lam_bar = 2 * (lam - delta / pp)
            delta = -delta + lam * pp
            lam = lam_bar
        mu = dot(p, r)
        alpha = mu / delta
        tried = along(w, alpha, p)
        new_loss, new_g = value_grad(tried)
        comparison = 2 * delta * (loss - new_loss) / mu**2
        success = comparison > 0
        if success:
            new_r = [-x for x in new_g]
            beta = (dot(new_r, new_r) - dot(new_r, r)) / mu
            conjugate = along(new_r, beta, p)
            since += 1
            near = abs(dot(conjugate, new_r) / dot(new_r, new_r) - 1) <= 0.2
            if since == restart_every or beta < 0 or not near:
                conjugate, since = new_r, 0
            w, loss, g, r, p, lam_bar = tried, new_loss, new_g, new_r, conjugate, 0.0
            path.append(list(w))
        else:
            lam_bar = lam
        if comparison >= 0.75:
            lam = max(lam / 4, 1e-15)
        if comparison < 0.25:
            lam = lam + delta * (1 - comparison) / pp
    return path


def two_loops(g, pairs):
    """Return H g from the pairs (s, y), oldest first: Nocedal and Wright 2006, algorithm 7.4 with γ = |s| / |y|."""
    q, kept = list(g), []
    for s, y in reversed(pairs):
        a = dot(s, q) / dot(y, s)
        q = along(q, -a, y)
        kept.append(a)
    gamma = (dot(pairs[-1][0], pairs[-1][0]) / dot(pairs[-1][1], pairs[-1][1])) ** 0.5 if pairs else 1.0
    r = [gamma * x for x in q]
    for (s, y), a in zip(pairs, reversed(kept), strict=True):
        r = along(r, a - dot(y, r) / dot(y, s), s)
    return r


def powell_beale(gradients, directions, t):
    """Return the next direction and the next t from all gradients and directions so far: Powell 1977, section 4.

    g[k] is the gradient at the point where direction k begins; t is None where the last direction was −g.
    """
    k, g = len(directions), gradients[-1]
    y = minus(g, gradients[-2])
    conjugate = along([-x for x in g], dot(g, y) / dot(directions[-1], y), directions[-1])
    if t is not None and k - t < len(g) and abs(dot(gradients[-2], g)) < 0.2 * dot(g, g):
        y_t = minus(gradients[t + 1], gradients[t])
        third = along(conjugate, dot(g, y_t) / dot(directions[t], y_t), directions[t])
        if -1.2 * dot(g, g) <= dot(third, g) <= -0.8 * dot(g, g):
            return third, t
    return conjugate, k - 1
