"""``python -m eval.two_runs`` writes the published schema again."""

from eval.two_runs.written import publish_schema

if __name__ == "__main__":
    publish_schema()
