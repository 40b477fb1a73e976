//! Fuzzes [`only1mcp_properties::plan`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| only1mcp_properties::plan::holds(bytes));
