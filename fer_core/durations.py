"""How long something takes, in words: the same on every page, in every report and on the command line."""


def duration(seconds: float) -> str:
    """“45 s”, “3 min”, “1 h 20 min”.

    Args:
        seconds: 0 or more.
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02d} min"
