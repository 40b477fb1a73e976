//! Fuzzes [`only1mcp_properties::yaml_agreement`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| only1mcp_properties::yaml_agreement::holds(bytes));
