"""Many jobs: a study file opened, a DAG of jobs with content keys, the protocol of one job, results."""
