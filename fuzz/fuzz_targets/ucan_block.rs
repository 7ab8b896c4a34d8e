#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| storehouse_fuzz::run("ucan_block", data));
