"""Microsoft.App: jobs, apps and what they live in.

jobs.py        jobs and their executions; job_rules.py and job_template.py say what a job must be
environments.py   managed environments; environment_parts.py environment_secrets.py what is in them
apps.py        container apps, which never run; app_rules.py what one must be, app_revisions.py what
               each change of its template makes
app_parts.py   what else lies in apps and environments: sign-in, source control, routes
connected_environments.py   environments on a Kubernetes of one's own
configuration_rules.py   what jobs and apps have in common
stream_token.py   the token with which log streams are asked for
"""
