"""Records of trials that look like those of a search."""

from __future__ import annotations

import numpy as np

KINDS = ("rate", "depth", "loss", "penalty")


def made_up(trials, params, seed=0):
    """Return records: rate matters most, then depth; every tenth trial of many fails."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(trials):
        values = {
            "rate": float(10 ** rng.uniform(-4, 0)),
            "depth": [None, 2, 4, 8, 16][rng.integers(5)],
            "loss": ["hinge", "log", "squared"][rng.integers(3)],
            "penalty": int(rng.integers(1, 100)),
        }
        kept = dict(list(values.items())[:params])
        kept |= {f"step__parameter_number_{i}": float(rng.random()) for i in range(params - 4)}
        score = 0.95 - 0.06 * abs(np.log10(values["rate"]) + 2)
        score -= 0.02 * abs((values["depth"] or 32) - 8) / 8 if params > 1 else 0
        score += rng.normal(0, 0.004)
        if rng.random() < 0.05:
            score = float(rng.uniform(0.1, 0.6))
        failed = number % 10 == 7
        top = rng.integers(0, 10)
        rungs = [1, 3, 9, 27][: 1 + (top > 5) + (top > 7) + (top > 8)]
        found.append(
            {
                "number": number,
                "params": kept,
                "score": None if failed else float(score),
                "rungs": [
                    {"resource": r, "score": None if failed else float(score - 0.05 / r**0.7)}
                    for r in rungs
                ],
                "scores": {"accuracy": float(score), "size": float(10 ** rng.uniform(2, 6))}
                if not failed
                else {},
            }
        )
    return found
