# Keeps one throw-away cluster: $1 the folder of the programs, $2 a folder to
# create, $3 on or off for fsync, $4 the port of a server whose copy it is, which
# then follows that server, or nothing. The first line on standard input is the
# password of the superuser; each further line is a port to (re)start on. At the
# end of the input, which is the end of the process that writes it, the cluster
# is stopped and the folder removed.
umask 077
mkdir "$2" || exit 1

postmaster=
# stop repeats the signal: a server that has only just been forked ignores it,
# because a shell starts its background commands so.
stop() {
	[ -n "$postmaster" ] || return 0
	tries=0
	while kill -QUIT "$postmaster" 2>/dev/null; do
		tries=$((tries + 1))
		[ "$tries" -lt 100 ] || kill -KILL "$postmaster" 2>/dev/null
		sleep 0.1
	done
	wait "$postmaster" 2>/dev/null
	postmaster=
}
trap 'stop; cd /; rm -rf "$2"' EXIT
trap 'exit 1' HUP INT TERM
cd "$2" || exit 1

read -r password || exit 1
if [ -n "$4" ]; then
	PGPASSWORD=$password "$1/pg_basebackup" -D "$2/data" -h 127.0.0.1 -p "$4" -U postgres -c fast -R --no-sync \
		>>log 2>&1 || echo 'FATAL: pg_basebackup failed' >>log
else
printf '%s\n' "$password" >password
"$1/initdb" -D "$2/data" -U postgres -E UTF8 --locale=C -A scram-sha-256 --pwfile=password --no-sync \
	>>log 2>&1 || echo 'FATAL: initdb failed' >>log
rm -f password
cat >>data/postgresql.conf <<END
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
fsync = $3
full_page_writes = $3
timezone = 'UTC'
log_timezone = 'UTC'
END
fi
while read -r port; do
	stop
	"$1/postgres" -D "$2/data" -p "$port" >>log 2>&1 &
	postmaster=$!
done
