"""Microsoft.App: jobs and what they live in.

jobs.py        jobs and their executions; job_rules.py and job_template.py say what a job must be
environments.py   managed environments; environment_parts.py environment_secrets.py what is in them
apps.py        container apps: kept and shown, never run
stream_token.py   the token with which log streams are asked for
"""
