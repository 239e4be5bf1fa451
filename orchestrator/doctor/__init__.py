"""Why did a job not start, not scale, fail, or log nothing?

`visit.Visit` looks at the place (Resource Manager, clock, environment), then at each job: `patient`
gathers what is known of it, and the `checks_…` modules judge that, each without asking anything
itself but what the patient gives.
"""
