"""What AWS Lambda calls: events of API Gateway (HTTP API), function URLs and load balancers become requests.

The rim of the twin: it alone reads the Lambda's environment. A missing setting fails the start by name.
"""

from __future__ import annotations

import os

from mangum import Mangum

from core.twin.app import create_twin
from core.twin.settings import read

handler = Mangum(create_twin(read(os.environ)), lifespan="off")
