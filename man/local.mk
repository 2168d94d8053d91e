# mdoc pages; tests/lint/man.sh checks them, tests/lint/documented.sh what they must name.
dist_man_MANS += \
	man/closeside.1 \
	man/closeside.conf.5 \
	man/closesided.8 \
	man/libcloseside.7
