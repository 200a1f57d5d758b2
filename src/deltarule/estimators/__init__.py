"""Faces for rows in memory: scikit-learn's estimators, and networks that learn from streams.

Only here is scikit-learn imported. The classes are `deltarule.MLPRegressor`, `deltarule.MLPClassifier`,
`deltarule.OnlineRegressor` and `deltarule.OnlineClassifier`, each loaded on first use.
"""
