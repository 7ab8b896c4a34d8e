#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| storehouse_fuzz::run("leveldb_record", data));
