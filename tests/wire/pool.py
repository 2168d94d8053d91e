# SPDX-License-Identifier: MIT
"""Clients that keep connections open between requests.

pool.py HOST PORT SECONDS SEED THREADS naive|careful|fresh

Each thread asks again and again, with pauses that depend on SEED alone. `naive` sends on the
connection it has, as http.client does; `careful` looks first whether the server has closed it, as
urllib3 does; `fresh` connects anew each time (to a proxy that pools). Prints how many requests were
answered, how many failed, and how many found no server there (refused, or 503 of the proxy).
"""
import http.client
import random
import select
import sys
import threading
import time

host, port, seconds, seed, threads, kind = sys.argv[1:]
end = time.monotonic() + float(seconds)
lock = threading.Lock()
counts = {"answered": 0, "failed": 0, "absent": 0}


def dropped(connection):
    return connection.sock is not None and bool(select.select([connection.sock], [], [], 0)[0])


def ask(connection):
    """One request: which count it belongs to."""
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read()
    except ConnectionRefusedError:
        return "absent"
    except (http.client.HTTPException, OSError) as error:
        print(time.monotonic(), type(error).__name__, file=sys.stderr)
        return "failed"
    if response.status == 503:
        return "absent"
    if response.status != 200:
        print(time.monotonic(), response.status, file=sys.stderr)
    return "answered" if response.status == 200 else "failed"


def work(number):
    pause = random.Random(f"{seed}/{number}")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    while time.monotonic() < end:
        if kind == "fresh" or (kind == "careful" and dropped(connection)):
            connection.close()
        result = ask(connection)
        if result != "answered":
            connection.close()
        with lock:
            counts[result] += 1
        time.sleep(pause.uniform(0, 0.2) if pause.random() < 0.7 else pause.uniform(0.2, 0.7))
    connection.close()


workers = [threading.Thread(target=work, args=(n,)) for n in range(int(threads))]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print(*(counts[name] for name in ("answered", "failed", "absent")))
