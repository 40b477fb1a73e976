//! Fuzzes [`only1mcp_properties::client_message`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| only1mcp_properties::client_message::holds(bytes));
