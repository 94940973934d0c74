"""The command line of FERscope and its recipes."""
