"""How word pools are written down: one string, split once."""


def words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


def phrases(text: str) -> list[str]:
    """The parts of a text between vertical bars."""
    return text.split("|")
