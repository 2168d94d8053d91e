# SPDX-License-Identifier: MIT
# Reads `tcpdump -nn -tt -S` lines; prints one line for each connection, in order of appearance:
#
#   B-endpoint A-endpoint first kind finA finB rstA rstB crossed done
#
# first    which end's FIN or RST came first (a: the server's namespace, b: the client's, -: none)
# kind     FIN or RST, of the first
# finA...  how many of each were seen from each end, retransmissions included
# crossed  1: the other end's FIN did not acknowledge the first, that is a simultaneous close
# done     1: both ends' FINs or an RST were seen
# t_first  when the first FIN or RST was seen, t_a and t_b: each end's first FIN (0: none)
#
# An endpoint is of A if its address ends in .1 or ::1. Lines of port 9 are marks, not traffic;
# with -v section=N only what lies between the Nth mark and the next is read.

function side(ep, addr) {
	addr = ep
	sub(/\.[0-9]+$/, "", addr)
	return addr ~ /(\.|::)1$/ ? "a" : "b"
}

{
	from = $3
	to = $5
	sub(/:$/, "", to)
	if ($6 != "Flags")
		next
	flags = $7
	gsub(/[\[\],]/, "", flags)
	if (from ~ /\.9$/ || to ~ /\.9$/) {
		if (flags ~ /R/)
			marks++
		next
	}
	if (section != "" && marks + 0 != section + 0)
		next

	from_side = side(from)
	key = from_side == "b" ? from " " to : to " " from
	if (flags ~ /S/ && flags !~ /\./ && (key in seen) && done(key)) {
		# the same four-tuple again: a new connection
		renamed = key "#" (++again[key])
		alias[key] = renamed
	}
	if (key in alias)
		key = alias[key]
	if (!(key in seen)) {
		seen[key] = 1
		order[++count] = key
	}

	# the sequence number that the FIN itself has
	fin_seq = ""
	ack = ""
	for (i = 8; i < NF; i++) {
		if ($i == "seq") {
			fin_seq = $(i + 1)
			sub(/,$/, "", fin_seq)
			sub(/^[0-9]+:/, "", fin_seq)
		} else if ($i == "ack") {
			ack = $(i + 1)
			sub(/,$/, "", ack)
		}
	}

	if (flags ~ /F/) {
		fin[key, from_side]++
		if (fin[key, from_side] == 1) {
			fin_at[key, from_side] = $1
			if (!(key in first)) {
				first[key] = from_side
				kind[key] = "FIN"
				first_at[key] = $1
				first_end[key] = fin_seq
			} else if (kind[key] == "FIN" && first[key] != from_side) {
				expect = (first_end[key] + 1) % 4294967296
				crossed[key] = (ack + 0 == expect) ? 0 : 1
			}
		}
	}
	if (flags ~ /R/) {
		rst[key, from_side]++
		if (!(key in first)) {
			first[key] = from_side
			kind[key] = "RST"
			first_at[key] = $1
		}
	}
}

function done(k) {
	return (fin[k, "a"] && fin[k, "b"]) || rst[k, "a"] || rst[k, "b"]
}

END {
	for (i = 1; i <= count; i++) {
		k = order[i]
		shown = k
		sub(/#[0-9]+$/, "", shown)
		printf "%s %s %s %d %d %d %d %d %d %.6f %.6f %.6f\n", shown,
			(k in first) ? first[k] : "-", (k in kind) ? kind[k] : "-",
			fin[k, "a"], fin[k, "b"], rst[k, "a"], rst[k, "b"],
			crossed[k], done(k) ? 1 : 0, first_at[k], fin_at[k, "a"], fin_at[k, "b"]
	}
}
