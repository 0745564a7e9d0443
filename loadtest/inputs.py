"""What decides the results of a load test: the load, the prompts, the endpoint and our code."""

from collections.abc import Mapping
from importlib.metadata import version

from deploy.plan import UNMEASURED, Plan
from loadtest.job import Job
from loadtest.load_file import Endpoint
from loadtest.prompts import PromptSource
from quantize.validity.code_hash import code_sha256
from quantize.validity.made_from import parts_of

# Locust is started with the one, by the other.
MEASURING = ("loadtest.locustfile", "loadtest.locust_process")
SUMMING = "loadtest.merging"
# Where things lie, whose turn it is, whether for the second time, and how many processes ask.
_PLACES = {"url", "round", "prompts", "legs", "attempt", "series", "processes", "dialect"}


def measured_from(
    plan: Plan, endpoint: Endpoint, job: Job, prompts: PromptSource
) -> dict[str, str]:
    """Everything that decides what a round of this endpoint measures; ``job`` is one of them."""
    return parts_of(
        load=plan.load.model_dump(mode="json", exclude={"processes"}),
        asked=job.model_dump(mode="json", exclude=_PLACES),
        serving=plan.serving.model_dump(exclude={*UNMEASURED, "start_timeout_s"}),
        prompts=prompts.sha256(),
        artifact=endpoint.artifact_sha256,
        engine=endpoint.engine_version,
        kernels=endpoint.kernels.phrase if endpoint.kernels else "not told",
        locust=version("locust"),
        code=code_sha256(*MEASURING),
    )


def summed_from(measured: Mapping[str, str]) -> dict[str, str]:
    """The same, and the code that makes ``load.json`` of rounds that are finished."""
    return {**measured, "summing_code": code_sha256(SUMMING)}
