# Functions that start and stop the example node; sourced by the scripts that speak HTTP to it. They expect `scratch`, a directory of the caller's.

# STOREHOUSE_NODE is a node that was built already, for scripts that start many and for trying another build.
node=${STOREHOUSE_NODE:-target/release/examples/node}

build_node() {
  [ -n "${STOREHOUSE_NODE:-}" ] ||
    cargo build --locked --quiet --release --example node
}

# Starts a node with these arguments on a free port; sets node_pid and node_address. Its output goes to $scratch/node-PID.log.
start_node() {
  local log
  log=$(mktemp "$scratch/node.XXXXXX")
  "$node" --listen 127.0.0.1:0 "$@" > "$log" 2> "$log.err" &
  node_pid=$!
  for _ in $(seq 600); do
    node_address=$(sed -n 's|^listening on http://\([0-9.:]*\).*|\1|p' "$log")
    [ -n "$node_address" ] && return
    kill -0 "$node_pid" 2> /dev/null || break
    sleep 0.1
  done
  echo "the node did not start:" >&2
  cat "$log" "$log.err" >&2
  return 1
}

# Stops the node $1 as an operator does; it must end well.
stop_node() {
  kill -TERM "$1"
  wait "$1"
}

# A configuration on the S3 server of STOREHOUSE_TEST_S3_*: s3_config BUCKET_PREFIX DATA_DIR
s3_config() {
  cat << TOML
[repo]
data_dir = "$2"
[repo.s3]
endpoint = "$STOREHOUSE_TEST_S3_ENDPOINT"
bucket_prefix = "$1"
insecure = true
region = "$STOREHOUSE_TEST_S3_REGION"
[repo.s3.credentials]
access_key_id = "$STOREHOUSE_TEST_S3_ACCESS_KEY"
secret_access_key = "$STOREHOUSE_TEST_S3_SECRET_KEY"
TOML
}
