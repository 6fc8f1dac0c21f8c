"""Numbers of things, in words."""


def counted(number: int, what: str) -> str:
    """Return a number of things, as in "1 token" and "2 tokens".

    Args:
        what: one of them.
    """
    return f"{number} {what}{'' if number == 1 else 's'}"
