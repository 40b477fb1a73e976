//! Fuzzes [`only1mcp_properties::definition`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| only1mcp_properties::definition::holds(bytes));
