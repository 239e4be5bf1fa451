"""Container Apps jobs in tests of one's own: an isolated local cloud, jobs, queues, time, faults.

With pytest there is nothing to import: the fixture `local_cloud` is there (see `plugin.py` and
docs/testing.md). Everywhere else:

    with IsolatedCloud(folder) as cloud:
        job = cloud.job("greeter", command=["{python}", "greet.py"])
        assert job.run().succeeded
"""

from orchestrator.testing.cloud import IsolatedCloud, TimeOfCloud
from orchestrator.testing.jobs import Finished, JobUnderTest

__all__ = ["Finished", "IsolatedCloud", "JobUnderTest", "TimeOfCloud"]
