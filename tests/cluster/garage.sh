# Three Garage nodes with replication 3 on the loopback; sourced by run, which sets `scratch`. Installed as .ci/s3-servers.sh says.

source .ci/s3-servers.sh

export STOREHOUSE_TEST_S3_REGION=garage
garage_pids=()
garage_ports=()

garage_cli() { # NODE ARG…
  "$garage_home/bin/garage" -c "$scratch/garage$1.toml" "${@:2}"
}

# Starts (again) the node $1.
start_garage() {
  RUST_LOG=warn "$garage_home/bin/garage" -c "$scratch/garage$1.toml" server > "$scratch/garage$1.log" 2>&1 &
  garage_pids[$1]=$!
  wait_until_ready "${garage_pids[$1]}" "${garage_ports[$1]}"
}

start_cluster() {
  install_garage
  local secret rpc_ports=() i
  secret=$(random_hex 32)
  for i in 1 2 3; do
    garage_ports[i]=$(free_port)
    rpc_ports[i]=$(free_port)
    cat > "$scratch/garage$i.toml" << TOML
metadata_dir = "$scratch/garage$i/meta"
data_dir = "$scratch/garage$i/data"
db_engine = "sqlite"
replication_factor = 3
rpc_bind_addr = "127.0.0.1:${rpc_ports[i]}"
rpc_public_addr = "127.0.0.1:${rpc_ports[i]}"
rpc_secret = "$secret"
[s3_api]
s3_region = "$STOREHOUSE_TEST_S3_REGION"
api_bind_addr = "127.0.0.1:${garage_ports[i]}"
TOML
    start_garage "$i"
  done
  local id
  for i in 1 2 3; do
    id=$(garage_cli "$i" node id --quiet)
    [ "$i" = 1 ] || garage_cli 1 node connect "$id" > /dev/null
    garage_cli 1 layout assign --zone "zone$i" --capacity 10G "${id%%@*}" > /dev/null
  done
  garage_cli 1 layout apply --version 1 > /dev/null
  STOREHOUSE_TEST_S3_ACCESS_KEY=GK$(random_hex 12)
  STOREHOUSE_TEST_S3_SECRET_KEY=$(garage_secret)
  export STOREHOUSE_TEST_S3_ACCESS_KEY STOREHOUSE_TEST_S3_SECRET_KEY
  garage_cli 1 key import --yes -n storehouse "$STOREHOUSE_TEST_S3_ACCESS_KEY" "$STOREHOUSE_TEST_S3_SECRET_KEY" > /dev/null
  garage_cli 1 key allow --create-bucket "$STOREHOUSE_TEST_S3_ACCESS_KEY" > /dev/null
}

stop_cluster() {
  local pid
  for pid in "${garage_pids[@]}"; do
    kill "$pid" 2> /dev/null || true
    wait "$pid" 2> /dev/null || true
  done
}
