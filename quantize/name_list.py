"""Lists of names as people write them, in options and in variables. Standard library only."""


def names_of(text: str) -> list[str]:
    """The names in a list separated by commas; blanks around them, and empty ones, do not count."""
    return [name.strip() for name in text.split(",") if name.strip()]
