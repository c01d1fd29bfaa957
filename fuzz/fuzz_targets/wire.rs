#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| devres_tracer_fuzz::check("wire", input));
