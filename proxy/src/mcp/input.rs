//! Multi round-trip requests of the modern revisions: what a server requires before it can answer, and what a
//! client brings back.

use super::error::{LEGACY_URL_REQUIRED, RpcError};
use super::object::{Keys, Object, ObjectError, elements, may_hold, quote};

/// `params`: what a client answers.
pub const RESPONSES: &str = "inputResponses";
/// `params` and results: what the server wants back unchanged.
pub const STATE: &str = "requestState";
/// Results: what the server asks.
const REQUESTS: &str = "inputRequests";
const REQUIRED: &str = "input_required";

/// What a modern server requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRequired {
    /// What it asks, by its own keys.
    pub requests: Vec<(String, InputRequest)>,
    /// What it wants back unchanged.
    pub state: Option<String>,
}

/// One thing a server asks its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRequest {
    /// What is asked.
    pub method: String,
    /// An object, raw.
    pub params: Option<String>,
}

/// What a raw result requires, if it is no answer yet.
#[must_use]
pub fn of_result(result: &str) -> Option<InputRequired> {
    // Answers can be long, and hardly any asks for more.
    if !may_hold(result, REQUIRED) {
        return None;
    }
    let object = Object::parse(result, Keys::Exact).ok()?;
    if object.get_text("resultType").as_deref() != Some(REQUIRED) {
        return None;
    }
    let requests = object.get_object(REQUESTS);
    let requests = requests
        .iter()
        .flat_map(|requests| requests.members())
        .filter_map(|member| Some((member.key.clone().into_owned(), request(member.value)?)));
    let state = object.get_text(STATE).map(std::borrow::Cow::into_owned);
    Some(InputRequired { requests: requests.collect(), state })
}

fn request(raw: &str) -> Option<InputRequest> {
    let object = Object::parse(raw, Keys::Exact).ok()?;
    let method = object.get_text("method")?.into_owned();
    let params = object.get("params").filter(|params| params.starts_with('{')).map(str::to_owned);
    Some(InputRequest { method, params })
}

/// The parameters of the next round: those of the first, the answers, and the state.
///
/// # Errors
/// [`RpcError`] if `params` is not an object.
pub fn next_round(
    params: Option<&str>,
    answers: &[(String, String)],
    state: Option<&str>,
) -> Result<String, RpcError> {
    let object = parse(params.unwrap_or("{}"))?;
    let answers: Vec<String> =
        answers.iter().map(|(key, result)| format!("{}:{result}", quote(key))).collect();
    let mut edit = object.edit();
    edit.set(RESPONSES, format!("{{{}}}", answers.join(",")));
    match state {
        Some(state) => edit.set(STATE, quote(state)),
        None => edit.remove(STATE),
    };
    Ok(edit.finish().into_owned())
}

/// The pages a legacy server's raw error sends the user to, as parameters of `elicitation/create`; nothing if it is
/// another error.
#[must_use]
pub fn of_url_error(error: &str) -> Option<Vec<&str>> {
    let error = Object::parse(error, Keys::Exact).ok()?;
    error.get("code").filter(|code| code.parse() == Ok(LEGACY_URL_REQUIRED))?;
    let pages = elements(error.get_object("data")?.get("elicitations")?)?;
    let is_page = |page: &&str| {
        let page = Object::parse(page, Keys::Exact);
        page.is_ok_and(|page| {
            page.get_text("mode").as_deref() == Some("url") && page.get_text("url").is_some()
        })
    };
    (!pages.is_empty() && pages.iter().all(is_page)).then_some(pages)
}

/// The result that asks a modern client these things; `state`, if it must bring one back, is sealed already.
#[must_use]
pub fn ask<'a>(
    requests: impl Iterator<Item = (u64, &'a str, Option<&'a str>)>,
    state: Option<&str>,
) -> String {
    let requests: Vec<String> = requests
        .map(|(key, method, params)| {
            let params = params.map(|params| format!(",\"params\":{params}")).unwrap_or_default();
            format!("\"{key}\":{{\"method\":{}{params}}}", quote(method))
        })
        .collect();
    let state = state.map(|state| format!(",\"{STATE}\":{}", quote(state))).unwrap_or_default();
    format!("{{\"resultType\":\"{REQUIRED}\",\"{REQUESTS}\":{{{}}}{state}}}", requests.join(","))
}

/// The same result with another state.
#[must_use]
pub fn with_state(result: &str, state: &str) -> String {
    let Ok(object) = Object::parse(result, Keys::Exact) else { return result.to_owned() };
    let mut edit = object.edit();
    edit.set(STATE, quote(state));
    edit.finish().into_owned()
}

/// The parameters of a round with the server's own state.
///
/// # Errors
/// [`RpcError`] if `params` is not an object.
pub fn params_with_state(params: &str, state: &str) -> Result<String, RpcError> {
    let object = parse(params)?;
    let mut edit = object.edit();
    edit.set(STATE, quote(state));
    Ok(edit.finish().into_owned())
}

/// What a client brings back: its answers by key, raw.
///
/// # Errors
/// [`RpcError`] if they are not an object of objects.
pub fn responses(params: &Object<'_>) -> Result<Vec<(String, String)>, RpcError> {
    let Some(raw) = params.get(RESPONSES) else { return Ok(Vec::new()) };
    let wrong = || RpcError::invalid_params("params.inputResponses must be an object of results");
    let object = Object::parse(raw, Keys::Exact).map_err(|_| wrong())?;
    let all = object.members().iter().map(|member| {
        let is_result = member.value.starts_with('{');
        is_result.then(|| (member.key.clone().into_owned(), member.value.to_owned())).ok_or_else(wrong)
    });
    all.collect()
}

fn parse(params: &str) -> Result<Object<'_>, RpcError> {
    let wrong = |error: ObjectError| RpcError::invalid_params(format!("params: {error}"));
    Object::parse(params, Keys::Folded).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = r#"{"resultType":"input_required","x":1.0,"requestState":"s\"1",
        "inputRequests":{"k":{"method":"elicitation/create","params":{"n":1.0}},"l":{"method":"roots/list"},"bad":7}}"#;

    #[test]
    fn reads_what_a_server_requires() {
        let required = of_result(RESULT).unwrap();
        let asked: Vec<_> = required
            .requests
            .iter()
            .map(|(key, request)| (key.as_str(), request.method.as_str(), request.params.as_deref()))
            .collect();
        assert_eq!(asked, [("k", "elicitation/create", Some(r#"{"n":1.0}"#)), ("l", "roots/list", None)]);
        assert_eq!(required.state.as_deref(), Some("s\"1"));
        assert_eq!(of_result(r#"{"resultType":"complete","inputRequests":{}}"#), None);
    }

    #[test]
    fn the_next_round_keeps_the_arguments_as_written() {
        let answers = [("k".to_owned(), r#"{"action":"accept"}"#.to_owned())];
        assert_eq!(
            next_round(Some(r#"{"name":"a","arguments":{"n":1.0}}"#), &answers, Some("s")).unwrap(),
            r#"{"name":"a","arguments":{"n":1.0},"inputResponses":{"k":{"action":"accept"}},"requestState":"s"}"#
        );
        assert_eq!(
            next_round(Some(r#"{"requestState":"old","inputResponses":{"z":{}}}"#), &answers, None).unwrap(),
            r#"{"inputResponses":{"k":{"action":"accept"}}}"#
        );
    }

    #[test]
    fn answers_are_objects_by_key() {
        let read = |params: &str| responses(&Object::parse(params, Keys::Exact).unwrap());
        assert_eq!(read("{}").unwrap(), []);
        assert_eq!(
            read(r#"{"inputResponses":{"a":{"x":1.0}}}"#).unwrap(),
            [("a".into(), r#"{"x":1.0}"#.into())]
        );
        for wrong in
            [r#"{"inputResponses":[]}"#, r#"{"inputResponses":{"a":1}}"#, r#"{"inputResponses":null}"#]
        {
            assert_eq!(read(wrong).unwrap_err().code, crate::mcp::error::INVALID_PARAMS, "{wrong}");
        }
    }

    #[test]
    fn asks_a_client_under_our_own_keys() {
        let asked = ask([(1, "roots/list", None), (2, "x", Some("{\"a\":1.0}"))].into_iter(), Some("sealed"));
        assert_eq!(
            asked,
            r#"{"resultType":"input_required","inputRequests":{"1":{"method":"roots/list"},"2":{"method":"x","params":{"a":1.0}}},"requestState":"sealed"}"#
        );
    }

    #[test]
    fn pages_are_taken_only_from_the_error_that_sends_there() {
        let page = r#"{"mode":"url","url":"https://a.test","message":"m","elicitationId":"1"}"#;
        let error = |code: i64, pages: &str| {
            format!(r#"{{"code":{code},"message":"m","data":{{"elicitations":[{pages}],"x":1.0}}}}"#)
        };
        assert_eq!(of_url_error(&error(-32042, page)), Some(vec![page]));
        for (code, pages) in [(-32043, page), (-32042, ""), (-32042, r#"{"mode":"form"}"#), (-32042, "7")] {
            assert_eq!(of_url_error(&error(code, pages)), None, "{code} {pages}");
        }
        assert_eq!(of_url_error(r#"{"code":-32042,"message":"m"}"#), None);
    }
}
