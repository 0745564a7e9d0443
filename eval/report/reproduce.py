"""How to have the same run again: commands that name the revision and the plan that was kept."""

from eval.report.report_inputs import Run


def reproduce_lines(run: Run) -> list[str]:
    """Commands for a shell, in their order; the plan beside the report is the whole question."""
    revision = run.environment.git_revision if run.environment else None
    clean = (revision or "").removesuffix("-dirty")
    lines = [f"git checkout {clean}"] if clean else []
    if revision and revision.endswith("-dirty"):
        lines.append("# that revision had changes which were not committed")
    plan = f"results/{run.comparison.run}/plan.yaml"
    return [
        *lines,
        "make setup",
        f"cp {plan} again.yaml",
        "./assay compare --plan again.yaml",
        f"./assay report {run.comparison.run} results/<the new run>",
    ]
