"""Microsoft.App: jobs, apps and what they live in.

jobs.py        jobs and their executions; job_rules.py and job_template.py say what a job must be
environments.py   managed environments; environment_parts.py environment_secrets.py what is in them
apps.py        container apps, which never run; app_rules.py what one must be, app_revisions.py what
               each change of its template makes
configuration_rules.py   what jobs and apps have in common
stream_token.py   the token with which log streams are asked for
"""
