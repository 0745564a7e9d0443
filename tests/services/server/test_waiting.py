"""The order in which waiting sequences get their places."""

from services.server.sampling import SamplingParameters
from services.server.sequence import GenerationRequest, Sequence
from services.server.waiting import WaitingLine


def request(count: int) -> list[Sequence]:
    asked = GenerationRequest(prompt=[1], max_tokens=1, sampling=SamplingParameters())
    return [Sequence(asked, lambda chunk: None) for _ in range(count)]


def test_requests_take_turns_however_many_sequences_each_has() -> None:
    line, large, small = WaitingLine(), request(3), request(2)
    line.add(large)
    line.add(small)
    taken = [line.take() for _ in range(len(line))]
    assert taken == [large[0], small[0], large[1], small[1], large[2]]


def test_sequences_of_clients_that_went_are_forgotten_and_their_request_with_the_last() -> None:
    line, gone, stays = WaitingLine(), request(2), request(2)
    line.add(gone)
    line.add(stays)
    for sequence in (*gone, stays[0]):
        sequence.cancelled = True
    line.drop_cancelled()
    assert len(line) == 1
    assert list(line) == [line.take()] == [stays[1]]
    assert len(line) == 0
