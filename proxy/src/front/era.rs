//! Which family of the protocol a message belongs to, and what its `params` say that decides it.

use super::error::{Fault, code};
use crate::exchange::{Era, no_capabilities};
use only1mcp_policy::view::ToolView;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// The modern revisions we speak, newest first.
pub const MODERN_VERSIONS: [&str; 1] = ["2026-07-28"];
/// The legacy revisions we speak, newest first.
pub const LEGACY_VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// The one legacy revision with batches.
pub const BATCH_VERSION: &str = "2025-03-26";

/// The first revision of the modern family.
const FIRST_MODERN: &str = "2026-07-28";

/// The members of `params` that a front looks at. Raw, because the core judges their types.
#[derive(Debug, Default, Deserialize)]
pub struct Params<'a> {
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
    /// `tools/call` and `prompts/get`: of what.
    #[serde(borrow)]
    pub name: Option<&'a RawValue>,
    /// `resources/*`: of what.
    #[serde(borrow)]
    pub uri: Option<&'a RawValue>,
    /// `tasks/*`: of what.
    #[serde(borrow, rename = "taskId")]
    pub task: Option<&'a RawValue>,
    /// `tools/call`: with what.
    #[serde(borrow)]
    pub arguments: Option<&'a RawValue>,
    /// `initialize`: the revision the client would like.
    #[serde(borrow, rename = "protocolVersion")]
    pub version: Option<&'a RawValue>,
    /// `initialize`: what the client can do.
    #[serde(borrow)]
    pub capabilities: Option<&'a RawValue>,
    /// `notifications/cancelled`: which request.
    #[serde(borrow, rename = "requestId")]
    pub request: Option<&'a RawValue>,
    /// `subscriptions/listen`: the filter.
    #[serde(borrow)]
    pub notifications: Option<&'a RawValue>,
    /// The protocol's own members of `_meta`.
    #[serde(skip)]
    pub protocol: ProtocolMeta<'a>,
}

/// The members of `_meta` that make a request modern.
#[derive(Debug, Default, Deserialize)]
pub struct ProtocolMeta<'a> {
    /// The revision the request is written in.
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    pub version: Option<&'a RawValue>,
    /// What the client can do.
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    pub capabilities: Option<&'a RawValue>,
    /// How tools shall be shown, where no URL can say it: over the relay.
    #[serde(borrow, rename = "only1mcp/view")]
    pub view: Option<&'a RawValue>,
}

impl<'a> Params<'a> {
    /// Reads what `params` say.
    ///
    /// # Errors
    /// -32602 if a member comes twice or `_meta` is no object.
    pub fn read(params: Option<&'a RawValue>) -> Result<Self, Fault> {
        let wrong = |problem: String| Fault::new(code::INVALID_PARAMS, problem);
        let Some(params) = params else { return Ok(Self::default()) };
        let mut read: Self =
            serde_json::from_str(params.get()).map_err(|error| wrong(format!("params: {error}")))?;
        if let Some(meta) = read.meta {
            if !meta.get().starts_with('{') {
                return Err(wrong("_meta must be an object".to_owned()));
            }
            read.protocol =
                serde_json::from_str(meta.get()).map_err(|error| wrong(format!("_meta: {error}")))?;
        }
        Ok(read)
    }
}

impl Params<'_> {
    /// What the client says it can do: in a legacy handshake, or in a modern request.
    pub fn client_capabilities(&self) -> Arc<str> {
        let said = self.protocol.capabilities.or(self.capabilities);
        said.filter(|raw| raw.get().starts_with('{')).map_or_else(no_capabilities, |raw| raw.get().into())
    }
}

impl ProtocolMeta<'_> {
    /// How tools shall be shown, if it says so.
    ///
    /// # Errors
    /// -32602 if it is no view.
    pub fn view(&self) -> Result<Option<ToolView>, Fault> {
        let Some(raw) = self.view else { return Ok(None) };
        let view = string(Some(raw)).and_then(|word| ToolView::of(&word));
        let known = ToolView::ALL.map(ToolView::word).join(", ");
        let problem = || format!("_meta[\"only1mcp/view\"]: {raw} is not a view; there are {known}");
        view.map(Some).ok_or_else(|| Fault::new(code::INVALID_PARAMS, problem()))
    }
}

/// The text of a JSON string.
pub fn string(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

/// The family a message belongs to. `initialize` without modern `_meta` is always the legacy handshake.
pub fn of_message(version_header: Option<&str>, method: Option<&str>, params: &Params<'_>) -> Era {
    if params.protocol.version.is_some() {
        return Era::Modern;
    }
    match method {
        Some("initialize") => Era::Legacy,
        _ => of_header(version_header),
    }
}

/// The family a request without a body belongs to.
pub fn of_header(version_header: Option<&str>) -> Era {
    match version_header {
        Some(version) if is_date(version) && version >= FIRST_MODERN => Era::Modern,
        _ => Era::Legacy,
    }
}

fn is_date(text: &str) -> bool {
    text.len() == FIRST_MODERN.len()
        && text.bytes().zip(FIRST_MODERN.bytes()).all(|(byte, model)| match model {
            b'-' => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// The legacy revision to speak with a client that would like this one.
pub fn negotiate(wanted: Option<&str>) -> &'static str {
    let [newest, ..] = LEGACY_VERSIONS;
    LEGACY_VERSIONS.into_iter().find(|&version| Some(version) == wanted).unwrap_or(newest)
}

/// Checks the members of `_meta` that every modern request must have, and gives its revision.
///
/// # Errors
/// -32602 if one is missing or of the wrong type, -32022 if we do not speak the revision.
pub fn modern_version(params: &Params<'_>) -> Result<&'static str, Fault> {
    let requested = declared_version(params)?;
    MODERN_VERSIONS.into_iter().find(|&version| version == requested).ok_or_else(|| {
        Fault::new(code::UNSUPPORTED_VERSION, format!("protocol version {requested:?} is not supported"))
            .with(serde_json::json!({ "supported": MODERN_VERSIONS, "requested": requested }))
    })
}

/// The revision a modern request names.
///
/// # Errors
/// -32602 if a required member of `_meta` is missing or of the wrong type.
pub fn declared_version(params: &Params<'_>) -> Result<String, Fault> {
    let missing = |member: &str, kind: &str| {
        let member = format!("params._meta[\"io.modelcontextprotocol/{member}\"]");
        Fault::new(code::INVALID_PARAMS, format!("{member} must be {kind}"))
    };
    let version = string(params.protocol.version).ok_or_else(|| missing("protocolVersion", "a string"))?;
    match params.protocol.capabilities {
        Some(capabilities) if capabilities.get().starts_with('{') => Ok(version),
        _ => Err(missing("clientCapabilities", "an object")),
    }
}

/// Methods of the legacy family that the modern one removed.
///
/// # Errors
/// -32601 for them.
pub fn refuse_removed(method: &str) -> Result<(), Fault> {
    match method {
        "initialize" | "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => Err(
            Fault::new(code::METHOD_NOT_FOUND, format!("{method} does not exist in this protocol version")),
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn later_dates_are_modern_and_other_texts_are_legacy() {
        for version in ["2026-07-28", "2027-01-01", "9999-99-99"] {
            assert_eq!(of_header(Some(version)), Era::Modern, "{version}");
        }
        for version in ["2025-11-25", "2026-07-27", "v999.0.0", "2026-07-280", "zzzz-zz-zz", ""] {
            assert_eq!(of_header(Some(version)), Era::Legacy, "{version}");
        }
        assert_eq!(of_header(None), Era::Legacy);
    }

    #[test]
    fn modern_meta_makes_even_initialize_modern() {
        let params = raw(r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"x"}}"#);
        let params = Params::read(Some(&params)).unwrap();
        assert_eq!(of_message(None, Some("initialize"), &params), Era::Modern);
        let none = Params::default();
        assert_eq!(of_message(Some("2026-07-28"), Some("initialize"), &none), Era::Legacy);
        assert_eq!(of_message(Some("2026-07-28"), Some("tools/list"), &none), Era::Modern);
    }

    #[test]
    fn refuses_params_that_two_readers_could_read_differently() {
        for text in [r#"{"name":"a","name":"b"}"#, r#"{"_meta":["2026-07-28",{}]}"#, r#"{"_meta":1}"#] {
            assert_eq!(Params::read(Some(&raw(text))).unwrap_err().code, code::INVALID_PARAMS, "{text}");
        }
    }

    #[test]
    fn offers_the_newest_legacy_version_for_an_unknown_one() {
        assert_eq!(negotiate(Some("2025-03-26")), "2025-03-26");
        assert_eq!(negotiate(Some("2026-07-28")), "2025-11-25");
        assert_eq!(negotiate(None), "2025-11-25");
    }
}
