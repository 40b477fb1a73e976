//! Fuzzes [`only1mcp_properties::policy_word`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| only1mcp_properties::policy_word::holds(bytes));
