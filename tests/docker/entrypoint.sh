#!/usr/bin/env bash
# Process 1 of an image whose entrypoint is a shell that passes SIGTERM on and waits. On the signal `wait` returns at
# once, the shell ends, and the kernel kills the server with it: what stopping such an image does.
trap 'kill -TERM "$server" 2>/dev/null' TERM
cd /qdrant || exit 1
# By the server's own name, which tells the program what it is.
/qdrant/server/qdrant "$@" &
server=$!
wait "$server"
exit $?
