"""The library of FERscope: data sets, networks, training, evaluation and explanation. No user interface in here."""

__version__ = "0.1.0"
