from loadtest.legs import round_order

NAMES = [f"v{number}" for number in range(8)]


def test_rounds_order_the_variants_anew_and_repeatably() -> None:
    orders = [round_order(NAMES, seed=1, number=number) for number in range(8)]
    assert all(sorted(order) == NAMES for order in orders)
    assert len({tuple(order) for order in orders}) == 8
    assert orders == [round_order(NAMES, seed=1, number=number) for number in range(8)]


def test_every_second_round_reverses_the_one_before_so_that_a_drift_cancels() -> None:
    for pair in range(4):
        there, back = (round_order(NAMES, seed=0, number=2 * pair + n) for n in (0, 1))
        assert there == back[::-1]
        places = {name: there.index(name) + 8 + back.index(name) for name in NAMES}
        assert set(places.values()) == {15}
