//! What a client must be able to do before a server may ask it something.

use super::object::{Keys, Object};

/// Whether a client can be asked something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It says it can.
    Able,
    /// It does not say that it has this capability.
    Unable(&'static str),
    /// No revision of the protocol has such a request.
    Unknown,
}

/// Whether a client that declares `declared`, a raw object, can be asked `method` with the raw `params`.
#[must_use]
pub fn reach(method: &str, params: Option<&str>, declared: &str) -> Reach {
    let params = params.and_then(|params| Object::parse(params, Keys::Exact).ok());
    let declared = Object::parse(declared, Keys::Exact).ok();
    let has = |key: &str| declared.as_ref().and_then(|declared| declared.get_object(key));
    let able = |is: bool, name: &'static str| if is { Reach::Able } else { Reach::Unable(name) };
    match method {
        "roots/list" => able(has("roots").is_some(), "roots"),
        "sampling/createMessage" => {
            let Some(sampling) = has("sampling") else { return Reach::Unable("sampling") };
            let wants_tools = params.is_some_and(|params| params.get("tools").is_some());
            able(!wants_tools || sampling.get_object("tools").is_some(), "sampling.tools")
        }
        "elicitation/create" => {
            let Some(elicitation) = has("elicitation") else { return Reach::Unable("elicitation") };
            let mode = params.and_then(|params| params.get_text("mode").map(std::borrow::Cow::into_owned));
            let url = elicitation.get_object("url").is_some();
            match mode.as_deref() {
                Some("url") => able(url, "elicitation.url"),
                // Forms are what the capability means where it names neither.
                _ => able(elicitation.get_object("form").is_some() || !url, "elicitation.form"),
            }
        }
        _ => Reach::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_asked_only_what_it_says_it_can() {
        let url = Some(r#"{"mode":"url","url":"https://a.test"}"#);
        let table = [
            ("roots/list", None, "{}", Reach::Unable("roots")),
            ("roots/list", None, r#"{"roots":{"listChanged":true}}"#, Reach::Able),
            ("sampling/createMessage", None, r#"{"roots":{}}"#, Reach::Unable("sampling")),
            ("sampling/createMessage", None, r#"{"sampling":{}}"#, Reach::Able),
            (
                "sampling/createMessage",
                Some(r#"{"tools":[]}"#),
                r#"{"sampling":{}}"#,
                Reach::Unable("sampling.tools"),
            ),
            ("sampling/createMessage", Some(r#"{"tools":[]}"#), r#"{"sampling":{"tools":{}}}"#, Reach::Able),
            ("elicitation/create", None, r#"{"elicitation":{}}"#, Reach::Able),
            ("elicitation/create", url, r#"{"elicitation":{}}"#, Reach::Unable("elicitation.url")),
            ("elicitation/create", url, r#"{"elicitation":{"url":{}}}"#, Reach::Able),
            ("elicitation/create", None, r#"{"elicitation":{"url":{}}}"#, Reach::Unable("elicitation.form")),
            ("elicitation/create", None, r#"{"elicitation":{"form":{},"url":{}}}"#, Reach::Able),
            ("elicitation/create", None, "[]", Reach::Unable("elicitation")),
            ("vendor/ask", None, r#"{"vendor":{}}"#, Reach::Unknown),
        ];
        for (method, params, declared, expected) in table {
            assert_eq!(reach(method, params, declared), expected, "{method} {params:?} {declared}");
        }
    }
}
