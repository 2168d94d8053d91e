# SPDX-License-Identifier: MIT
# The document of report.jq as Markdown.

def cell: if . == null then "-" elif type == "number" then (if . == (. | floor) then . else (. * 100 | round / 100) end | tostring)
	else tostring end;
def row: "| " + (map(cell) | join(" | ")) + " |";
def table($head): [($head | row), ($head | map("---") | row)] + map(row) | join("\n");
def ms: if . == null then null elif . >= 1000 then "\(. / 100 | round / 10) ms" else "\(. | round) us" end;
def kb: if . == null then null else "\(. / 1024 | round) kB" end;
def share: if . == null then null else . * 1000 | round / 1000 end;
def ours: if .ours then "**\(.contender)**" else .contender end;

def rates($first):
	[.rate[] | select(.first == $first)] | sort_by(-.offered_s, (.ours | not), .contender) | reverse | sort_by(.offered_s)
	| map(if .error then [ours, .offered_s, "error: \(.error)"]
		else [ours, .offered_s, .sustained_s, .failed, .slow, (.connect_us.p50 | ms), (.connect_us.p99 | ms),
			(.connect_us.p999 | ms), (.request_us.p99 | ms), .time_waits_client.max, .time_waits_server.max,
			(.time_wait_bytes | kb), .bytes_lost, .cpu_program_us, .cpu_daemon_us, .idle_wakeups_s] end)
	| table(["", "offered/s", "sustained/s", "failed", "slow (> 5 ms)", "connect p50", "p99", "p99.9",
		"request p99", "TIME_WAITs, client", "server", "their memory", "bytes lost",
		"CPU us/conn., program", "daemon", "daemon's wakeups/s, idle"]);

def pair_rows($what):
	[.pairs[] | select(.what == $what)] | sort_by(.program, .tool, (.contender != "plain again"), .contender)
	| map([.program, .tool, ours, .pairs, (.ratio | share), "\(.least | share) to \(.most | share)", (.spread | share),
		.plain, .with, .cpu_program_us.plain, .cpu_program_us.with, .cpu_daemon_us,
		.time_waits.server, .time_waits.client])
	| table(["program", "tool", "", "pairs", "of plain, median", "least to most", "spread", "plain", "with",
		"CPU us/conn., plain", "with", "daemon", "TIME_WAITs, server", "client"]);

"# Who closes first, and what it costs\n",
"\(.machine.kernel), \(.machine.cpu), \(.machine.cores) processors, \(.machine.memory_mb) MB; load \(.machine.load_before) before, \(.machine.load_after) after; \(if .size == "full" then "the full bench" else "the **quick** bench: it shows the shape; the figures to quote are those of the full one" end).\n",
(if .errors != [] then "## What could not be measured\n", (.errors[] | "- \(.bench) \(.contender // "") \(.first // ""): \(.error)"), "" else empty end),
(if .missing != [] then "## Missing\n", (.missing[] | "- \(.)"), "" else empty end),
"## What is wanted of closeside\n",
([.targets[] | [.name, .wanted, .got, .spread, .verdict]] | table(["", "wanted", "measured", "spread", ""])),
"\nRatios are within one run. A spread is the distance between the quartiles of the pairs; for latency, how far from each other two plain servers were, and their spread. A miss by less than the spread is none.\n",
"## The client closes first: one address to one port\n",
rates("client"),
"\nOurs are in bold. An end's TIME_WAITs are those of its namespace, the most at a time. Latencies are counted from when a connection was due; of failed ones there is none. `ss -K` runs once a second; its processor time stands under the daemon's.\n",
"## The server closes first\n",
rates("server"),
"\n## nginx and HAProxy, with and without: connections a second\n",
pair_rows("rate"),
"\n\"plain again\" is another plain server: so far apart are two that are alike. wrk closes when it has the answer; ab reads until the server has closed, and a server that waits for it learns that it is in vain, but tries one close in 64. Plain servers run in a namespace of their own, which no daemon looks into. The daemon is charged with what it does until 0.1 s after a run.\n",
"## The same: p99 of a request at half load, us\n",
pair_rows("latency_p99"),
"\n## Who loses bytes\n",
([.loss[] | if .error then [ours, "error: \(.error)"] else [ours, .connections, .bytes_sent, .bytes_lost, .cut] end]
	| table(["", "connections", "bytes sent", "lost", "connections cut"])),
"\nLarge answers to slow readers; the server closes as soon as it has written.\n",
"## connect() as ports run out\n",
([.ports | group_by(.contender)[] | sort_by(.used)
	| (.[0], .[length / 4 | floor], .[length / 2 | floor], .[length * 3 / 4 | floor], .[-1])
	| if .error then [ours, "error: \(.error)"] else [ours, .used, .of, (.call_p50_us | ms), (.call_p99_us | ms)] end]
	| table(["", "ports in use", "of", "connect() p50", "p99"])),
"\n## The daemon\n",
([.custody[] | [.what, .value, .unit, .target]] | table(["", "", "", "wanted"])),
"",
([.scale[] | [.tracked, .us_per_connection, .bytes_each, .how]] | table(["connections tracked", "us of a processor for one more", "bytes each", ""]))
