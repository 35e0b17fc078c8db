"""Times one peer in a process of its own and prints a line of JSON: the argument is worker's, as JSON."""

import json
import sys

from .speed import worker

print(json.dumps(worker(*json.loads(sys.argv[1]))))
