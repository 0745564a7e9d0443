"""A request that is over, and its record once its stream has been read.

Pure: when the stream is read is up to the caller, as nothing that is timed depends on it.
"""

from dataclasses import dataclass, field

from loadtest.asks import Ask
from loadtest.completion import KeptStream, Reading, fault, read_stream
from loadtest.job import Job, Leg
from loadtest.levels import Ticket
from loadtest.records import RequestRecord
from services.http.stream_chunk import StreamError

# A gap is kept to the microsecond.
GAP_DIGITS = 6


@dataclass(kw_only=True)
class Answer:
    """What came of the request of ``ticket``, which asked ``ask``; times in seconds of one clock.

    ``error`` says why it failed, as far as that is known; status 0: there was no answer.
    """

    leg: Leg
    ticket: Ticket
    ask: Ask
    request_id: str
    scheduled_s: float
    send_s: float
    end_s: float = 0.0
    status: int = 0
    error: str | None = None
    stream: KeptStream = field(default_factory=KeptStream)
    reading: Reading = field(default_factory=Reading)
    is_read: bool = False

    @property
    def is_urgent(self) -> bool:
        """Whether to read it at once: it has failed, or may have, and its user is to pause."""
        return self.status != 200 or self.error is not None or not self.stream.ended_well

    @property
    def text(self) -> str | None:
        """The text of an answer that was read; None where it failed."""
        return None if self.error else "".join(self.reading.written)

    def read(self, job: Job) -> None:
        """Read the stream, once; from now on ``error`` is final.

        Its reason goes before that of its end: who waits in vain after an error was told it.
        """
        if not self.is_read:
            self._settle(self._stream_fault() or self.error or self._fault(job))

    def read_live(self, job: Job) -> None:
        """The same of a stream that goes on: blocks until its end.

        Who gives up meanwhile leaves ``error`` as it was before.
        """
        self._settle(self._stream_fault() or self._fault(job))

    def _stream_fault(self) -> str | None:
        try:
            read_stream(self.reading, self.stream.piece, self.stream.time)
        except StreamError as error:
            return str(error)
        return None

    def _settle(self, error: str | None) -> None:
        self.is_read, self.error, self.stream = True, error, KeptStream()

    def _fault(self, job: Job) -> str | None:
        if job.dialect is not None:
            job.dialect.completed(self.reading)
            return job.dialect.fault(self.reading, self.ask.output_tokens)
        return fault(
            self.reading,
            prompt_tokens=self.ask.prompt_tokens,
            output_tokens=self.ask.output_tokens,
            exact=self.ask.exact,
        )

    def record(self, job: Job) -> RequestRecord:
        """The record, for which the stream is read if it was not."""
        self.read(job)
        reading, ask = self.reading, self.ask
        return RequestRecord(
            variant=self.leg.variant,
            round=job.round,
            point=self.leg.point,
            request_id=self.request_id,
            counted=self.ticket.counted,
            scheduled_s=self.scheduled_s,
            send_s=self.send_s,
            first_token_s=reading.first_token_s,
            last_token_s=reading.last_token_s,
            end_s=self.end_s,
            prompt_tokens=reading.prompt_tokens,
            output_tokens=reading.output_tokens,
            chunks=reading.chunks,
            max_gap_s=reading.max_gap_s,
            status=self.status,
            error=self.error,
            first_answer_s=reading.first_answer_s,
            gaps_s=tuple(round(gap, GAP_DIGITS) for gap in reading.gaps_s),
            finish=reading.finish,
            prompt_hash=None if job.dialect else ask.prompt_hash(),
            intruder=ask.intruder,
            session=ask.session,
            turn=ask.turn,
        )
