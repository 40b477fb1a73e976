//! Fuzzes [`only1mcp_properties::headers`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| only1mcp_properties::headers::holds(bytes));
