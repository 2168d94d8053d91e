# SPDX-License-Identifier: MIT
# Rows of a bench (compare.sh, pairs.sh, custody.sh) as one document, with what is wanted of closeside
# beside what was measured. Arguments: $machine; $expected, the contenders of compare.sh:
# [{first, contender}]; $size.
#
#   jq -s -f report.jq rows.jsonl

def quantile(q): sort | if length == 0 then null else .[((length - 1) * q + 0.5) | floor] end;
def median: quantile(0.5);
def rounded(n): if . == null then null else . * n | round / n end;

# Of pairs: half of them lie between the quartiles; their distance is called the spread.
def spread: if length == 0 then null else quantile(0.75) - quantile(0.25) end;

def of($bench): map(select(.bench == $bench));

def pairs:
	of("pair") | map(select(.error | not)) | group_by([.what, .program, .tool, .contender]) | map({
		what: .[0].what, program: .[0].program, tool: .[0].tool, contender: .[0].contender,
		ours: .[0].ours, pairs: length,
		ratio: (map(.ratio | select(.)) | median),
		least: (map(.ratio | select(.)) | min),
		most: (map(.ratio | select(.)) | max),
		spread: (map(.ratio | select(.)) | spread | rounded(1e4)),
		plain: (map(.plain) | median), with: (map(.with) | median),
		cpu_program_us: {plain: (map(.cpu_program_us.plain) | median), with: (map(.cpu_program_us.with) | median)},
		cpu_daemon_us: (map(.cpu_daemon_us | select(.)) | median),
		time_waits: (map(.time_waits.with | select(.)) | first // null)
	});

# met: at least, or short of it by less than the spread; null: there is nothing to judge by
def verdict($got; $wanted; $spread):
	if $got == null then "not measured"
	elif $got >= $wanted then "met"
	elif $wanted - $got <= ($spread // 0) then "within the spread"
	else "missed" end;

def at_most($got; $wanted):
	if $got == null then "not measured" elif $got <= $wanted then "met" else "missed" end;

def pair_target($pairs; $contender; $wanted):
	($pairs | map(select(.what == "rate" and .program == "nginx" and .tool == "wrk" and .contender == $contender))
		| first // {}) as $p |
	{name: "nginx, \($contender): of plain connections a second", wanted: "at least \($wanted)",
		got: ($p.ratio | rounded(1e3)), spread: ($p.spread | rounded(1e3)),
		verdict: verdict($p.ratio; $wanted; $p.spread)};

# As far from 1 as two plain servers are from each other, and their spread; less is no miss.
def latency_target($pairs; $contender):
	($pairs | map(select(.what == "latency_p99"))) as $l |
	($l | map(select(.contender == "plain again")) | first) as $plain |
	($l | map(select(.contender == $contender)) | first) as $p |
	(if $plain then ($plain.ratio - 1 | fabs) + $plain.spread else null end) as $apart |
	{name: "p99 of a request at half load, \($contender): of plain", wanted: "as two plain ones, and their spread",
		got: ($p.ratio | rounded(1e3)), spread: ($apart | rounded(1e3)),
		verdict: (if $plain == null or $p == null then "not measured"
			elif $p.ratio - 1 <= $apart then "met" else "missed" end)};

def sound: map(select(.error | not));

def rate_targets($rows):
	($rows | of("rate") | sound) as $r |
	($r | map(.offered_s) | max) as $most |
	($r | map(select(.first == "client" and .contender == "default"))) as $default |
	($r | map(select(.first == "client" and .ours and .contender != "watch-only"))) as $ours |
	($default | map(select(.offered_s == $most)) | first) as $default_most |
	($ours | map(select(.offered_s == $most)) | sort_by(-.sustained_s) | first) as $best |
	($default | map(select(.offered_s < $most)) | first) as $default_usual |
	($ours | map(select(.offered_s < $most and .contender == $best.contender)) | first) as $best_usual |
	[({name: "one address to one port, \($best.contender // "our best"): times the default's rate over \($best.seconds // "?") s",
		wanted: "at least 10",
		got: (if $best and $default_most.sustained_s > 0
			then $best.sustained_s / $default_most.sustained_s | rounded(10) else null end)}
		| .verdict = verdict(.got; 10; 0)),
	 ({name: "the same: failed connects", wanted: "0", got: $best.failed}
		| .verdict = at_most(.got; 0)),
	 ({name: "p99 of connect() at \($best_usual.offered_s // "?") a second: of the default's", wanted: "at most 0.1",
		got: (if $best_usual and $default_usual.connect_us.p99 > 0
			then $best_usual.connect_us.p99 / $default_usual.connect_us.p99 | rounded(1e4) else null end)}
		| .verdict = at_most(.got; 0.1))];

# Past the half of the ports, beside the first steps.
def ports_target($rows):
	($rows | of("ports") | sound | map(select(.ours))) as $p |
	($p | sort_by(.used) | .[0:3] | map(.call_p50_us) | median) as $unloaded |
	($p | map(select(.used > .of / 2)) | map(.call_p50_us) | max) as $past |
	{name: "local-ports: connect() past the half of the ports, to the last, of its unloaded median (median of each step)",
		wanted: "at most 2", got: (if $past and $unloaded > 0 then $past / $unloaded | rounded(100) else null end)}
	| .verdict = at_most(.got; 2);

# A policy that says that it may lose data is not meant.
def loss_target($rows):
	($rows | map(select((.bench == "loss" or .bench == "rate") and .ours and (.error | not)
		and .contender != "linger = abort"))) as $l |
	{name: "bytes lost by a policy of ours that does not say it may", wanted: "0",
		got: (if ($l | of("loss")) == [] then null else $l | map(.bytes_lost // 0) | add end)}
	| .verdict = at_most(.got; 0);

def custody_targets($rows):
	$rows | of("custody") | map(select(.target != "" and .target != null)) | map({
		name: "daemon: \(.what), \(.unit)", wanted: .target, got: (.value | rounded(100)),
		verdict: (if .met == null then "not judged" elif .met then "met" else "missed" end)});

def missing($rows; $expected):
	($rows | of("rate") | map([.first, .contender])) as $there |
	($rows | map(.bench) | unique) as $kinds |
	($rows | of("pair") | map([.what, .contender]) | unique) as $paired |
	[($expected[] | select([.first, .contender] as $e | $there | index([$e]) | not) |
			"\(.contender), \(.first) closes first"),
		(["series", "ports", "loss", "custody", "scale", "pairs"] - $kinds | .[] | "rows of \(.)"),
		(("rate", "latency_p99") as $what | ("plain again", "watch-only", "close-first = peer", "time-wait = none")
			| [$what, .] | select(. as $e | $paired | index([$e]) | not) | "\(.[1]), pairs of \(.[0])")];

# What the pairs prove of themselves: ours was active, and nothing failed.
def proof_errors($rows):
	$rows | of("pairs") | map(select(.failed > 0 or (.policies.peer.hand_overs // 0) == 0
		or (.policies.none.opens // 0) == 0) |
		{bench, contender: null, first: null, error: "requests failed, or a policy did not act"});

# In the quick bench there are few ports and few pairs.
def softened: if $size == "full" then . else map(if .verdict == "missed" then .verdict = "missed (quick)" else . end) end;

. as $rows | pairs as $pairs | {
	schema: 1, size: $size, machine: $machine,
	targets: ((
		[pair_target($pairs; "watch-only"; 0.98), pair_target($pairs; "time-wait = none"; 0.98),
			pair_target($pairs; "close-first = peer"; 0.97)]
		+ rate_targets($rows) + [ports_target($rows)]
		+ ["watch-only", "time-wait = none", "close-first = peer" | latency_target($pairs; .)]
		+ [loss_target($rows)] + custody_targets($rows)) | softened),
	rate: ($rows | of("rate")), ports: ($rows | of("ports")), loss: ($rows | of("loss")), pairs: $pairs,
	custody: ($rows | of("custody")), scale: ($rows | of("scale")), proof: ($rows | of("pairs")),
	errors: (($rows | map(select(.error) | {bench, contender, first, error})) + proof_errors($rows)),
	missing: missing($rows; $expected)
}
