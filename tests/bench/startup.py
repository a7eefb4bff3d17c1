"""Start-up: `evms --list` against `/bin/true`, by turns in one run, so that whatever else the machine does hits
both alike. What is measured is spawn to wait, as a shell would see it. Fails above the limit."""

import os
import statistics
import sys
import time

ROUNDS = 500
WARM_UP = 20
RATIO_MAX = 2.0


def once(argv, null):
    """Nanoseconds from spawn to the end of one run."""
    actions = [(os.POSIX_SPAWN_DUP2, null, 1)]
    start = time.perf_counter_ns()
    child = os.posix_spawn(argv[0], argv, {}, file_actions=actions)
    status = os.waitpid(child, 0)[1]
    took = time.perf_counter_ns() - start
    if status != 0:
        sys.exit(f"{argv[0]} ended with status {status}")
    return took


def line(name, samples):
    quarter, middle, three = (value / 1000 for value in statistics.quantiles(samples, n=4))
    print(f"{name:<14} median {middle:7.1f} us   middle half {quarter:7.1f} .. {three:7.1f} us")
    return middle


def main():
    evms, true = [sys.argv[1], "--list"], ["/bin/true"]
    null = os.open("/dev/null", os.O_WRONLY)
    samples = {"evms --list": [], "/bin/true": []}
    for turn in range(WARM_UP + ROUNDS):
        for name, argv in (("evms --list", evms), ("/bin/true", true)):
            took = once(argv, null)
            if turn >= WARM_UP:
                samples[name].append(took)
    ours, theirs = (line(name, took) for name, took in samples.items())
    print(f"ratio {ours / theirs:.2f}, limit {RATIO_MAX:.1f}, {ROUNDS} rounds")
    sys.exit(ours / theirs > RATIO_MAX)


main()
