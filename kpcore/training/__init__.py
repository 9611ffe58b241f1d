"""One job: loop, schedule, stopping, evaluation, checkpoint and exact resume."""
