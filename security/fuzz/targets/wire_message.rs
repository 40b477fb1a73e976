//! Fuzzes [`only1mcp_properties::wire_message`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| only1mcp_properties::wire_message::holds(bytes));
