# Functions that install, start and stop real S3 servers for the tests; sourced by with-minio, with-garage and with-versitygw.
#
# Servers are installed once, under ${XDG_CACHE_HOME:-~/.cache}/storehouse/NAME-VERSION, from their language's own registry. Each run has a
# directory, ports and keys of its own, so any number of them can run side by side.

# What every secret of the tests holds, for .ci/no-secrets to find.
mark=mArKoFaSeCrEt
cache="${XDG_CACHE_HOME:-$HOME/.cache}/storehouse"
minio_version=v0.0.0-20260212201848-7aac2a2c5b7c
garage_version=2.5.0
versitygw_version=1.8.0
minio_home="$cache/minio-${minio_version##*-}"
garage_home="$cache/garage-$garage_version"
versitygw_home="$cache/versitygw-$versitygw_version"

install_minio() {
    [ -x "$minio_home/bin/minio" ] && return
    echo "installing MinIO $minio_version (2 to 4 minutes)" >&2
    GOBIN="$minio_home/bin" GOFLAGS=-mod=mod go install "github.com/minio/minio@$minio_version" >&2
}

install_garage() {
    [ -x "$garage_home/bin/garage" ] && return
    echo "installing Garage $garage_version (8 minutes)" >&2
    # Not with this workspace's settings: its target directory is not for another program.
    (cd / && env -u CARGO_TARGET_DIR -u RUSTFLAGS cargo install garage --version "$garage_version" --locked --root "$garage_home" >&2)
}

install_versitygw() {
    [ -x "$versitygw_home/bin/versitygw" ] && return
    echo "installing VersityGW $versitygw_version (2 minutes)" >&2
    GOBIN="$versitygw_home/bin" go install "github.com/versity/versitygw/cmd/versitygw@v$versitygw_version" >&2
}

# A port that nobody listens on; another program may take it before it is used, and then the start fails and is tried again.
free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    return 1
}

random_hex() {
    od -An -vtx1 -N "$1" /dev/urandom | tr -d ' \n'
}

# 64 hexadecimal digits, as Garage wants them, and the mark among them.
garage_secret() {
    printf '%s%s' "$(printf %s "$mark" | od -An -vtx1 | tr -d ' \n')" "$(random_hex 19)"
}

# Waits up to 30 s until the server $1 answers HTTP on port $2.
wait_until_ready() {
    local line
    for _ in $(seq 300); do
        kill -0 "$1" 2>/dev/null || return 1
        if exec 3<>"/dev/tcp/127.0.0.1/$2"; then
            printf 'GET / HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
            # Any answer will do but that it is still starting.
            IFS= read -r -t 2 line <&3 && [[ $line == HTTP/* && $line != *" 503 "* ]] && { exec 3>&-; return 0; }
            exec 3>&-
        fi 2>/dev/null
        sleep 0.1
    done
    return 1
}

# Starts the server $1 (minio, garage or versitygw) and sets STOREHOUSE_TEST_S3_*, server_pid and server_dir.
start_server() {
    local name=$1
    "install_$name"
    server_dir=$(mktemp -d "${TMPDIR:-/tmp}/storehouse-$name.XXXXXX")
    for _ in 1 2 3; do
        port=$(free_port)
        "launch_$name"
        if wait_until_ready "$server_pid" "$port"; then
            export STOREHOUSE_TEST_S3_SERVER=$name STOREHOUSE_TEST_S3_ENDPOINT=127.0.0.1:$port
            echo "$name is ready at 127.0.0.1:$port" >&2
            return
        fi
        kill "$server_pid" 2>/dev/null || true
        wait "$server_pid" 2>/dev/null || true
    done
    echo "$name did not start; its log:" >&2
    tail -n 50 "$server_dir/log" >&2
    return 1
}

stop_server() {
    kill "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    rm -rf "$server_dir"
}

launch_minio() {
    # Without a region of its own it takes every one.
    export STOREHOUSE_TEST_S3_REGION=eu-storehouse-1 STOREHOUSE_TEST_S3_ACCESS_KEY=storehouse
    STOREHOUSE_TEST_S3_SECRET_KEY=$mark-$(random_hex 12)
    export STOREHOUSE_TEST_S3_SECRET_KEY
    mkdir -p "$server_dir/data"
    MINIO_ROOT_USER=$STOREHOUSE_TEST_S3_ACCESS_KEY MINIO_ROOT_PASSWORD=$STOREHOUSE_TEST_S3_SECRET_KEY MINIO_BROWSER=off MINIO_UPDATE=off \
        MINIO_SITE_REGION=$STOREHOUSE_TEST_S3_REGION \
        "$minio_home/bin/minio" server --quiet --address "127.0.0.1:$port" "$server_dir/data" >"$server_dir/log" 2>&1 &
    server_pid=$!
}

launch_garage() {
    export STOREHOUSE_TEST_S3_REGION=garage
    STOREHOUSE_TEST_S3_ACCESS_KEY=GK$(random_hex 12)
    STOREHOUSE_TEST_S3_SECRET_KEY=$(garage_secret)
    export STOREHOUSE_TEST_S3_ACCESS_KEY STOREHOUSE_TEST_S3_SECRET_KEY
    rm -rf "$server_dir/meta" "$server_dir/data"
    cat >"$server_dir/garage.toml" <<EOF
metadata_dir = "$server_dir/meta"
data_dir = "$server_dir/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:$(free_port)"
rpc_secret = "$(random_hex 32)"
[s3_api]
s3_region = "garage"
api_bind_addr = "127.0.0.1:$port"
[admin]
api_bind_addr = "127.0.0.1:$(free_port)"
EOF
    GARAGE_DEFAULT_ACCESS_KEY=$STOREHOUSE_TEST_S3_ACCESS_KEY GARAGE_DEFAULT_SECRET_KEY=$STOREHOUSE_TEST_S3_SECRET_KEY \
        GARAGE_DEFAULT_BUCKET=default RUST_LOG=warn \
        "$garage_home/bin/garage" -c "$server_dir/garage.toml" server --single-node --default-bucket >"$server_dir/log" 2>&1 &
    server_pid=$!
}

# A gateway over a directory of files, STOREHOUSE_TEST_S3_DIR, in which tests put files by hand.
launch_versitygw() {
    export STOREHOUSE_TEST_S3_REGION=eu-storehouse-2 STOREHOUSE_TEST_S3_ACCESS_KEY=storehouse
    STOREHOUSE_TEST_S3_SECRET_KEY=$mark-$(random_hex 12)
    export STOREHOUSE_TEST_S3_SECRET_KEY STOREHOUSE_TEST_S3_DIR=$server_dir/data
    mkdir -p "$server_dir/data"
    ROOT_ACCESS_KEY_ID=$STOREHOUSE_TEST_S3_ACCESS_KEY ROOT_SECRET_ACCESS_KEY=$STOREHOUSE_TEST_S3_SECRET_KEY \
        "$versitygw_home/bin/versitygw" --port "127.0.0.1:$port" --region "$STOREHOUSE_TEST_S3_REGION" --quiet \
        posix "$server_dir/data" >"$server_dir/log" 2>&1 &
    server_pid=$!
}
