"""What every method of making weights is given, and what it gives back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from quantize.artifact.manifest import TokenizerDifferences
from quantize.calibration.calibration_set import CalibrationPlan
from quantize.jobs.environment import tool_variables
from quantize.jobs.job_module import JobModule, Progress, Reply, Request
from quantize.jobs.worker import Done, Worker
from quantize.recipes.recipe import Recipe
from quantize.source.source_model import SourceModel


class RecipeError(RuntimeError):
    """A recipe could not be carried out; the message says what the tool said."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One recipe of one model.

    ``folder`` is the model as every tool is to read it (source/normalised_folder.py).
    ``output`` receives the artifact's files, ``scratch`` anything else; ``source`` is the artifact
    the recipe reads, where it reads one. ``worker`` holds a tool's process from job to job.
    ``proof`` is a file that a tool with a model in memory writes its logits to (proof_logits.py),
    where that is asked for. ``progress`` shows a few words (``layer 3/6``).
    """

    model: SourceModel
    folder: Path
    recipe: Recipe
    source: Path | None
    calibration: CalibrationPlan
    threads: int
    output: Path
    scratch: Path
    log: Path
    lock_fd: int
    worker: Worker
    proof: Path | None
    progress: Callable[[str], None]

    def ask(
        self,
        module: JobModule[Request, Progress, Reply],
        request: Request,
        *,
        variables: Mapping[str, str] | None = None,
        locks: Sequence[int] = (),
    ) -> Done[Reply]:
        """Let a module carry out a part of this job in the worker's process; blocks.

        Its output goes to the job's log, its progress to the job's line. ``variables`` are beside
        a tool's own, ``locks`` are held beside the job's own.

        Raises:
            ToolError: the environment is missing, or the module failed or refused.
        """
        return self.worker.ask(
            module,
            request,
            log=self.log,
            variables=tool_variables(self.threads, variables),
            held=[self.lock_fd, *locks],
            told=lambda said: self.progress(said.words if said else ""),
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """``calibration_sha256``: hash of the token ids used; ``peak_memory_bytes`` of any process.

    ``fallbacks`` are tensors stored as another type than the recipe's, because of their width;
    ``tokenizer`` how the artifact's own tokenizer reads text, where it has one of another kind;
    ``notes`` are for the user.
    """

    calibration_sha256: str | None
    peak_memory_bytes: int
    fallbacks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tokenizer: TokenizerDifferences | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """How a method is carried out.

    ``tool`` is a distribution in ``environment`` (None: our own code makes the weights), and
    ``libraries`` are others, in the environment ``quantize``, whose version changes what comes out.
    ``worker_module`` is what the method runs in a job's ``worker``, where it does.
    ``make`` blocks until the files are written and raises RecipeError, ToolError, a ValueError of
    its inputs, or OSError. An artifact is made anew when the code of its module, or of any that it
    imports or starts, has changed (order.py).
    """

    tool: str | None
    environment: str | None
    make: Callable[[Job], Outcome]
    libraries: tuple[str, ...] = ()
    worker_module: str | None = None
