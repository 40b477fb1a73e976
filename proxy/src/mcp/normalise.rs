//! What a server of one era answered, as a client of the other era understands it. Pure functions;
//! within one era nothing is touched.

use super::error::{INVALID_PARAMS, LEGACY_RESOURCE_NOT_FOUND, LEGACY_URL_REQUIRED, NOT_BRIDGED, RpcError};
use super::method::Method;
use super::object::{Keys, Object, ObjectError, cut, elements};
use super::request::SERVER_INFO;
use crate::exchange::Era;
use crate::limits::QUOTED_BYTES_MAX;
use std::borrow::Cow;

/// Members only modern results have.
const MODERN_RESULT_MEMBERS: [&str; 3] = ["resultType", "ttlMs", "cacheScope"];

/// Why a result cannot be passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPassed {
    /// It is not the object it should be.
    Malformed(ObjectError),
    /// A modern server asks for input where it may not: what may ask was answered before.
    InputRequired(String),
    /// A modern server gives something else than a result: an extension's kind, which no legacy client knows.
    Kind(String),
}

impl NotPassed {
    /// What the client is told.
    #[must_use]
    pub fn error(&self, server: &str) -> RpcError {
        match self {
            Self::Malformed(error) => RpcError::new(
                super::error::INTERNAL_ERROR,
                format!("server \"{server}\" sent a malformed result: {error}"),
            ),
            Self::InputRequired(what) => RpcError::new(
                NOT_BRIDGED,
                format!("server \"{server}\" asks for {what} where the protocol lets it ask for nothing"),
            ),
            Self::Kind(kind) => RpcError::new(
                NOT_BRIDGED,
                format!(
                    "server \"{server}\" answered with {kind:?}, which this client's revision does not have"
                ),
            ),
        }
    }
}

/// A server's result for a client.
///
/// # Errors
/// [`NotPassed`] if the client could not understand it.
pub fn result<'a>(
    result: &'a str,
    method: Method,
    server: Era,
    client: Era,
    server_info: &str,
) -> Result<Cow<'a, str>, NotPassed> {
    match (server, client) {
        (Era::Legacy, Era::Legacy) | (Era::Modern, Era::Modern) => Ok(Cow::Borrowed(result)),
        (Era::Legacy, Era::Modern) => to_modern(result, method, server_info).map_err(NotPassed::Malformed),
        (Era::Modern, Era::Legacy) => to_legacy(result),
    }
}

/// Stamps what a modern result must carry and a legacy server did not know of.
///
/// # Errors
/// [`ObjectError`] if `result` is not an object.
pub fn to_modern<'a>(
    result: &'a str,
    method: Method,
    server_info: &str,
) -> Result<Cow<'a, str>, ObjectError> {
    let object = Object::parse(result, Keys::Exact)?;
    let meta = match object.get("_meta") {
        Some(text) if text.starts_with('{') => {
            let meta = Object::parse(text, Keys::Exact)?;
            let mut edit = meta.edit();
            edit.set_absent(SERVER_INFO, server_info.to_owned());
            edit.finish()
        }
        _ => Cow::Owned(format!("{{\"{SERVER_INFO}\":{server_info}}}")),
    };
    let mut edit = object.edit();
    edit.set_absent("resultType", "\"complete\"").set("_meta", meta);
    if method.is_cacheable() {
        edit.set_absent("ttlMs", "0").set_absent("cacheScope", "\"private\"");
    }
    Ok(edit.finish())
}

fn to_legacy(result: &str) -> Result<Cow<'_, str>, NotPassed> {
    let object = Object::parse(result, Keys::Exact).map_err(NotPassed::Malformed)?;
    match object.get_text("resultType").as_deref() {
        Some("input_required") => return Err(NotPassed::InputRequired(what_is_required(&object))),
        None | Some("complete") => {}
        Some(kind) => return Err(NotPassed::Kind(cut(kind, QUOTED_BYTES_MAX).to_owned())),
    }
    let mut edit = object.edit();
    for key in MODERN_RESULT_MEMBERS {
        edit.remove(key);
    }
    Ok(edit.finish())
}

/// The methods named by `inputRequests`, in words.
fn what_is_required(object: &Object<'_>) -> String {
    let Some(requests) = object.get_object("inputRequests") else { return "another round".to_owned() };
    let mut methods: Vec<String> = requests
        .members()
        .iter()
        .filter_map(|member| {
            Object::parse(member.value, Keys::Exact).ok()?.get_text("method").map(Cow::into_owned)
        })
        .collect();
    methods.sort_unstable();
    methods.dedup();
    if methods.is_empty() { "input".to_owned() } else { methods.join(" and ") }
}

/// A server's error for a client.
#[must_use]
pub fn error(error: &str, server: Era, client: Era) -> Cow<'_, str> {
    if (server, client) != (Era::Legacy, Era::Modern) {
        return Cow::Borrowed(error);
    }
    let Ok(object) = Object::parse(error, Keys::Exact) else { return Cow::Borrowed(error) };
    let code = match object.get("code").and_then(|raw| raw.parse().ok()) {
        Some(LEGACY_RESOURCE_NOT_FOUND) => INVALID_PARAMS,
        // Where input may be asked for it has become a request for it; no modern server may send this code.
        Some(LEGACY_URL_REQUIRED) => NOT_BRIDGED,
        _ => return Cow::Borrowed(error),
    };
    let mut edit = object.edit();
    edit.set("code", code.to_string());
    edit.finish()
}

/// The code of a raw error object.
#[must_use]
pub fn code(error: &str) -> Option<i64> {
    Object::parse(error, Keys::Exact).ok()?.get("code")?.parse().ok()
}

/// The members of the list called `key` in a result, raw.
#[must_use]
pub fn list_items<'a>(result: &Object<'a>, key: &str) -> Option<Vec<&'a str>> {
    result.get(key).and_then(elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = r#"{"name":"s"}"#;

    #[test]
    fn within_one_era_the_bytes_are_the_same() {
        for era in [Era::Legacy, Era::Modern] {
            assert_eq!(
                result("{ \"a\" : 1.0 }", Method::ToolsCall, era, era, INFO),
                Ok("{ \"a\" : 1.0 }".into())
            );
        }
    }

    #[test]
    fn a_modern_client_gets_stamps_and_they_do_not_replace_what_is_there() {
        let cases = [
            (
                "{}",
                Method::ToolsCall,
                r#"{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}"#,
            ),
            (
                r#"{"tools":[],"_meta":{"x":1}}"#,
                Method::ToolsList,
                r#"{"tools":[],"_meta":{"x":1,"io.modelcontextprotocol/serverInfo":{"name":"s"}},"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#,
            ),
            (
                r#"{"resultType":"task","ttlMs":7}"#,
                Method::ResourcesRead,
                r#"{"resultType":"task","ttlMs":7,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}},"cacheScope":"private"}"#,
            ),
        ];
        for (before, method, after) in cases {
            assert_eq!(result(before, method, Era::Legacy, Era::Modern, INFO).unwrap(), after);
        }
    }

    #[test]
    fn a_legacy_client_sees_no_stamps() {
        let before = r#"{"tools":[1.0],"resultType":"complete","ttlMs":5,"cacheScope":"public","x":1}"#;
        assert_eq!(
            result(before, Method::ToolsList, Era::Modern, Era::Legacy, INFO).unwrap(),
            r#"{"tools":[1.0],"x":1}"#
        );
    }

    #[test]
    fn input_a_legacy_client_cannot_give_is_refused_by_name() {
        let before =
            r#"{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create"}}}"#;
        let refused = result(before, Method::ToolsCall, Era::Modern, Era::Legacy, INFO).unwrap_err();
        assert_eq!(refused, NotPassed::InputRequired("elicitation/create".into()));
        assert!(refused.error("forms").message.contains("server \"forms\" asks for elicitation/create"));
        assert_eq!(result(before, Method::ToolsCall, Era::Modern, Era::Modern, INFO).unwrap(), before);
    }

    #[test]
    fn what_is_no_plain_result_is_never_taken_for_one() {
        let task = r#"{"resultType":"task","taskId":"t"}"#;
        let refused = result(task, Method::ToolsCall, Era::Modern, Era::Legacy, INFO).unwrap_err();
        assert!(refused.error("s").message.contains("answered with \"task\""), "{refused:?}");
        assert_eq!(result(task, Method::ToolsCall, Era::Modern, Era::Modern, INFO).unwrap(), task);
    }

    #[test]
    fn codes_that_no_modern_server_has_change_and_only_toward_modern_clients() {
        let page = r#"{"code":-32042,"message":"m","data":{"x":1.0}}"#;
        assert_eq!(
            error(page, Era::Legacy, Era::Modern),
            r#"{"code":-31006,"message":"m","data":{"x":1.0}}"#
        );
        assert_eq!(error(page, Era::Legacy, Era::Legacy), page);
        let missing = r#"{"code":-32002,"message":"m","data":{"uri":"u"}}"#;
        assert_eq!(
            error(missing, Era::Legacy, Era::Modern),
            r#"{"code":-32602,"message":"m","data":{"uri":"u"}}"#
        );
        assert_eq!(error(missing, Era::Legacy, Era::Legacy), missing);
        assert_eq!(error(r#"{"code":-32603}"#, Era::Legacy, Era::Modern), r#"{"code":-32603}"#);
    }
}
