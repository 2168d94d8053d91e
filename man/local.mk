# mdoc pages; tests/lint/man.sh checks them, tests/lint/documented.sh what they must name.
dist_man_MANS +=
