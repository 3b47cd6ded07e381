"""Running programs that nobody vouches for, to learn whether they pass their tests.

A program delivers values, never a verdict: it runs in a process that holds neither the tests nor the expected
answers (those of a doctest are taken from its module first, as far as Python goes: docs/threat-model.md), and another
process, which it cannot reach, compares what comes back: one beside it where the tests are code, the caller's where
they are texts. Nothing in here may run a program in the process that asked for it.

    sandbox      what the caller sees: tasks in, outcomes out
    labels       outcomes that are known already
    cell         the process that forks one or two processes for each program
    program      what runs in a program's process
    examiner     what holds the tests and asks for values
    confinement  namespaces, an own user, limits: what the cell puts around itself and each program
    channel      messages over a socket
    values       the only language between a program and its examiner
"""
