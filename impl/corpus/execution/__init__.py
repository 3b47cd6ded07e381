"""Running programs that nobody vouches for, to learn whether they pass their tests.

A program delivers values, never a verdict: it runs in a process that holds neither the tests nor the expected
answers, and another process, which it cannot reach, compares what comes back. Nothing in here may run a program in
the process that asked for it.

    sandbox      what the caller sees: tasks in, outcomes out
    cell         the process that forks one pair of processes for each program
    confinement  namespaces, an own user, limits: what the cell puts around itself and each program
    values       the only language between a program and its examiner
"""
