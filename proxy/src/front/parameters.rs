//! `Mcp-Param-*`: headers that repeat arguments of a tool, as its input schema says with `x-mcp-header`.
//!
//! A header that the schema does not name is somebody else's, and is ignored.

use super::era::Params;
use super::error::{Fault, code};
use super::headers;
use http::HeaderMap;
use serde_json::Value;

/// What a property's schema says to name its header.
const ANNOTATION: &str = "x-mcp-header";
/// Levels of nested properties that are looked at.
const LEVELS_MAX: usize = 8;

/// Checks that the headers say what the arguments of this call say.
///
/// # Errors
/// -32020 if a header is missing, malformed or different, or repeats an argument that is not there.
pub fn check(headers: &HeaderMap, schema: &[u8], params: &Params<'_>) -> Result<(), Fault> {
    // Hardly any schema has one; parsing all of them for each call would cost more than the call.
    if !schema.windows(ANNOTATION.len()).any(|window| window == ANNOTATION.as_bytes()) {
        return Ok(());
    }
    let Ok(schema) = serde_json::from_slice::<Value>(schema) else { return Ok(()) };
    let arguments =
        params.arguments.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(Value::Null);
    properties(headers, &schema, &arguments, LEVELS_MAX)
}

fn properties(headers: &HeaderMap, schema: &Value, arguments: &Value, levels: usize) -> Result<(), Fault> {
    let Some(properties_of) = schema.get("properties").and_then(Value::as_object) else { return Ok(()) };
    for (name, property) in properties_of {
        let argument = arguments.get(name).unwrap_or(&Value::Null);
        if let Some(suffix) = property.get(ANNOTATION).and_then(Value::as_str) {
            repeated(headers, &format!("mcp-param-{}", suffix.to_ascii_lowercase()), argument)?;
        }
        if levels > 0 {
            properties(headers, property, argument, levels - 1)?;
        }
    }
    Ok(())
}

/// Checks one header against one argument; `null` and absent are the same.
fn repeated(headers: &HeaderMap, name: &str, argument: &Value) -> Result<(), Fault> {
    let fault = |problem: &str| Err(Fault::new(code::HEADER_MISMATCH, format!("header {name} {problem}")));
    let value = headers::single(headers, name)?.map(|value| headers::decode(name, value)).transpose()?;
    let same = match (value, argument) {
        (None, Value::Null | Value::Array(_) | Value::Object(_)) => true,
        (None, _) => return fault("is missing"),
        (Some(_), Value::Null | Value::Array(_) | Value::Object(_)) => false,
        (Some(value), Value::String(text)) => value == *text,
        (Some(value), Value::Bool(truth)) => value == truth.to_string(),
        (Some(value), Value::Number(number)) => {
            value == number.to_string()
                || value.parse().ok().is_some_and(|value: f64| number.as_f64() == Some(value))
        }
    };
    if same { Ok(()) } else { fault("does not say what the body says") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use serde_json::value::{RawValue, to_raw_value};

    fn verdict(headers: &[(&'static str, &'static str)], arguments: &Value) -> bool {
        let schema = json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "count": {"type": "integer", "x-mcp-header": "Count"},
            "deep": {"type": "object", "properties": {"flag": {"type": "boolean", "x-mcp-header": "Flag"}}},
            "plain": {"type": "string"},
        }});
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let params: Box<RawValue> = to_raw_value(&json!({"name": "t", "arguments": arguments})).unwrap();
        let params = Params::read(Some(&params)).unwrap();
        check(&headers.collect(), schema.to_string().as_bytes(), &params).is_ok()
    }

    #[test]
    fn a_recognised_header_must_say_what_its_argument_says() {
        assert!(verdict(&[("mcp-param-region", "eu")], &json!({"region": "eu"})));
        assert!(verdict(&[("mcp-param-region", "=?base64?SGVsbG8=?=")], &json!({"region": "Hello"})));
        assert!(verdict(&[("mcp-param-region", "SGVsbG8=")], &json!({"region": "SGVsbG8="})));
        assert!(verdict(&[("mcp-param-count", "7.0")], &json!({"count": 7})));
        assert!(verdict(&[("mcp-param-flag", "true")], &json!({"deep": {"flag": true}})));
        assert!(!verdict(&[("mcp-param-region", "us")], &json!({"region": "eu"})));
        assert!(!verdict(&[("mcp-param-count", "8")], &json!({"count": 7})));
        assert!(!verdict(&[("mcp-param-flag", "True")], &json!({"deep": {"flag": true}})));
        assert!(!verdict(&[("mcp-param-region", "=?base64?SGVsbG8?=")], &json!({"region": "Hello"})));
    }

    #[test]
    fn a_recognised_header_comes_with_its_argument_and_only_then() {
        assert!(!verdict(&[], &json!({"region": "eu"})));
        assert!(!verdict(&[("mcp-param-region", "eu")], &json!({})));
        assert!(verdict(&[], &json!({"region": null, "plain": "x"})));
    }

    #[test]
    fn other_headers_are_ignored() {
        assert!(verdict(&[("mcp-param-plain", "x"), ("mcp-param-other", "y")], &json!({"plain": "z"})));
    }
}
