"""Hold a compose file against the compose specification: ``check_compose.py FILE``.

Runs in the environment `compose`. YAML's merge keys are merged before, as Docker does it.
"""

import json
import sys

import yaml
from compose_spec import PyCompose

if __name__ == "__main__":
    with open(sys.argv[1]) as stream:
        PyCompose.from_json(json.dumps(yaml.safe_load(stream))).validate()
