"""All figures, computed from predictions tables by pure functions.

`predictions` holds the table, `metrics` and `intervals` say how good a network is, `comparison` whether one is better
than another, `calibration` what its confidence is worth. Pages import these to open fast: numpy and pandas only, and
scipy inside the functions that need it.
"""
