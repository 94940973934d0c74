"""The command line of FERscope."""
