//! Fuzzes [`only1mcp_properties::wire_value`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| only1mcp_properties::wire_value::holds(bytes));
