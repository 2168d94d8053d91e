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

STEERED_SHARE = 0.9  # of the closes that could be steered


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
    with open(out + ".status", encoding="utf-8") as file:
        status = json.loads(file.readline())
    with open(out + ".policy", encoding="utf-8") as file:
        policies = {row["name"]: row for row in map(json.loads, file)}
    kernel = kernel_counters(out + ".snmp")
    records, custody = status["records"], status["custody"]
    # Ends of connections that came to be, as the kernel counts them.
    ends = kernel["Tcp:ActiveOpens"] - kernel["Tcp:AttemptFails"] + kernel["Tcp:PassiveOpens"]
    time_waits = sum(kernel["TcpExt:" + name] for name in ("TW", "TWRecycled", "TWKilled"))
    steered = records["hand-over"] + records["defer"] + records["at-exit"]
    facts = {
        "sessions": status["sessions_total"],
        "ends": ends,
        "opens": records["open"],
        "closes": sum(status["closes"].values()),
        "steered": steered,
        "lost": status["lost"],
        "time-waits": time_waits,
    }
    if ends > 0 and (not status["sessions_total"] or not records["open"]):
        wrong.append(f"the kernel saw {ends} ends of connections, the daemon none")
    if status["lost"] or status["bad_messages"] or custody["refused"]:
        wrong.append(f"{status['lost']} records lost, {status['bad_messages']} bad messages, "
                     f"{custody['refused']} descriptors refused")
    if status["sessions"] or custody["held"]:
        wrong.append(f"{status['sessions']} sessions, {custody['held']} held sockets are left")
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
