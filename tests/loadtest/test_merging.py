from loadtest.merging import most_memory


def test_the_largest_reading_is_unknown_where_one_of_them_is() -> None:
    assert most_memory([3, 7, 5]) == 7
    assert most_memory([3, None]) is None
    assert most_memory([]) is None
