# Keeps one pooler: $1 the program, $2 a folder to create. A pooler that crashes is
# started again, as a machine's does it. Standard input holds
# the list of users and the settings, each up to a line with a dot. At the end of
# the input, which is the end of the process that writes it, the pooler is stopped
# and the folder removed.

umask 077
mkdir "$2" || exit 1
pooler=

# run starts the program until it is told to stop.
run() {
	trap 'kill -TERM "$program" 2>/dev/null; wait "$program"; exit' TERM
	while :; do
		"$1" settings >>log 2>&1 &
		program=$!
		wait "$program"
		sleep 0.1
	done
}

# stop repeats the signal until the program is gone.
stop() {
	[ -n "$pooler" ] || return 0
	while kill -TERM "$pooler" 2>/dev/null; do
		sleep 0.1
	done
	wait "$pooler" 2>/dev/null
	pooler=
}
trap 'stop; cd /; rm -rf "$2"' EXIT
trap 'exit 1' HUP INT TERM

cd "$2" || exit 1
for file in users settings; do
	: >"$file"
	while read -r line && [ "$line" != . ]; do
		printf '%s\n' "$line" >>"$file"
	done
done
run "$1" &
pooler=$!
while read -r line; do :; done
