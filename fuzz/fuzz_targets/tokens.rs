#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| juststorage_fuzz_targets::tokens(data));
