"""The job runtime: executions of jobs, their replicas, and what starts them.

It knows nothing of Resource Manager or of the broker: `model.py` has the seams (`JobSource`,
`Queues`, `ReplicaEnvironment`, `LogSink`), and the nouns that pass through them.

runtime.py     starts, stops and lists executions, whoever asks; store.py remembers them
execution.py   as many replicas as the job asks for, until it has succeeded, failed or stopped
replica.py     init containers one after the other, then containers side by side
executors.py   where a container runs: executor_process.py (images.py says which program stands for
               an image), executor_container.py (an engine; container_run.py, container_files.py)
triggers.py    which trigger a job has: schedule.py cron, event_trigger.py the rules of scaler.py
job.py template.py volumes.py   a job's JSON, and what `start` may change in it, read
arm_json.py events.py   executions as Resource Manager shows them; system events in their wording
"""
