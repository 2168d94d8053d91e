# SPDX-License-Identifier: MIT
"""Compares runs of a suite, and reads from the counters whether the shim was active.

  compare.py differ PLAIN.res SHIM.res
        the tests whose results differ, or that ran in one only: NAME PLAIN SHIM
  compare.py judge NAME MODE ALLOWED PLAIN.res... -- SHIM.res...
        a test that differed and was run again, alone: one line, VERDICT (PLAIN; SHIM)
  compare.py count FILE.res
        TESTS OK SKIP BAD
  compare.py proof MODE OUT
        what OUT.status, OUT.policy and OUT.snmp say, as NAME=VALUE words; and what is wrong
        with it, each reason on a line. Exit status 1 if something is."""
import fnmatch
import json
import sys

SEEN_SHARE = 90  # percent of the ends of connections that the kernel counts, at least
STEERED_SHARE = 90  # percent of the eligible closes, at least

# A close is eligible if its connection matches a policy with close-first = peer, the program is its
# only holder, has not set SO_LINGER on it, and closes first, while it is in use, and it is none of
# what libcloseside(7) says is never handed over (unsafe: for one, its epoll set was closed before
# it). These reasons are named. All others are failures to steer.
NOT_ELIGIBLE = ("shared", "idle", "app-linger", "unsafe")


def results(path):
    """{test: result}; of several words on one test the worst."""
    rank = {"ok": 0, "skip": 1, "fail": 2, "error": 3}
    found = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, result = line.strip().rpartition(" ")
                if name and rank[result] >= rank.get(found.get(name), -1):
                    found[name] = result
    except FileNotFoundError:
        pass
    return found


def differ(plain, shim):
    plain, shim = results(plain), results(shim)
    for name in sorted(plain.keys() | shim.keys()):
        pair = [runs.get(name, "missing") for runs in (plain, shim)]
        bad = [word in ("fail", "error") for word in pair]
        if pair[0] != pair[1] and not all(bad):
            print(name, *pair)


def allowed_reason(path, name, mode):
    """The file has lines of MODE PATTERN REASON; # begins a comment."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.split(None, 2)
            if len(words) == 3 and words[0] == mode and fnmatch.fnmatch(name, words[1]):
                return words[2].strip()
    return None


def judge(name, mode, allowed, *paths):
    at = paths.index("--")
    plain = [results(path).get(name, "missing") for path in paths[:at]]
    shim = [results(path).get(name, "missing") for path in paths[at + 1 :]]
    passes = plain[0]  # to be skipped is a result too
    said = f"(plain {' '.join(plain)}; {mode} {' '.join(shim)})"
    if passes not in ("ok", "skip") or len(set(plain)) > 1:
        print("flaky without the shim", said)
    elif sum(result != passes for result in shim) < 2:
        print("passes again", said)
    elif reason := allowed_reason(allowed, name, mode):
        print(f"allowed {said} {reason}")
    else:
        print("DIFFERENCE", said)


def count(path):
    words = list(results(path).values())
    print(len(words), words.count("ok"), words.count("skip"),
          words.count("fail") + words.count("error"))


def kernel_counters(path):
    """/proc/net/snmp or netstat: pairs of lines, names and values."""
    found = {}
    with open(path, encoding="ascii") as file:
        lines = [line.split() for line in file]
    for names, values in zip(lines[::2], lines[1::2]):
        found.update((names[0] + name, int(value)) for name, value in zip(names[1:], values[1:]))
    return found


def proof(mode, out):
    wrong = []
    try:
        with open(out + ".status", encoding="utf-8") as file:
            status = json.loads(file.readline())
        with open(out + ".policy", encoding="utf-8") as file:
            policies = {row["name"]: row for row in map(json.loads, file)}
        kernel = kernel_counters(out + ".snmp")
    except (OSError, ValueError) as error:
        sys.exit(f"no counters: {error}")
    records, closes, custody = status["records"], status["closes"], status["custody"]
    # Ends of connections that came to be, and TIME_WAITs, as the kernel counts them.
    ends = kernel["Tcp:ActiveOpens"] - kernel["Tcp:AttemptFails"] + kernel["Tcp:PassiveOpens"]
    time_waits = sum(kernel["TcpExt:" + name] for name in ("TW", "TWRecycled", "TWKilled"))
    steered = sum(row["hand_overs"] for row in policies.values())
    missed = {why: n for why, n in status["not_handed_over"].items() if n}
    eligible = steered + sum(n for why, n in missed.items() if why not in NOT_ELIGIBLE)
    facts = {
        "sessions": status["sessions_total"],
        "ends": ends,
        "opens": records["open"],
        "first": closes["us"] + closes["both"],
        "steered": f"{steered}/{eligible}",
        **missed,
        "lost": status["lost"],
        "time-waits": time_waits,
        "retired": status["retire"]["retired"],
    }
    if ends > 0 and records["open"] * 100 < ends * SEEN_SHARE:
        wrong.append(f"the kernel saw {ends} ends of connections, the daemon {records['open']}")
    if status["lost"] or status["bad_messages"] or custody["refused"]:
        wrong.append(f"{status['lost']} records lost, {status['bad_messages']} bad messages, "
                     f"{custody['refused']} descriptors refused")
    if status["sessions"] or custody["held"]:
        wrong.append(f"{status['sessions']} sessions, {custody['held']} held sockets are left")
    if mode == "peer" and steered * 100 < eligible * STEERED_SHARE:
        wrong.append(f"of {eligible} closes that could be steered {steered} were")
    if mode == "peer" and facts["first"] > steered + sum(missed.values()):
        wrong.append(f"{facts['first']} closes of ours were the first; only {steered} were steered "
                     f"and {sum(missed.values())} have a reason why not")
    if mode == "watch" and steered:
        wrong.append(f"{steered} closes were steered, though only watched")
    print(*(f"{name}={value}" for name, value in facts.items()))
    for reason in wrong:
        print(reason)
    sys.exit(bool(wrong))


def main():
    commands = {"differ": differ, "judge": judge, "count": count, "proof": proof}
    commands[sys.argv[1]](*sys.argv[2:])


main()
