//! `${NAME}` in a server's command, arguments and environment, from only1mcp's own environment.
//!
//! Done in scalars after parsing, so that a value can never become a key or another document.

use std::collections::BTreeMap;

/// Puts variables in. `$${` stands for `${` itself; any other `$` stays as it is.
///
/// # Errors
/// The message and what to do, if a variable is not set or the text is malformed.
pub fn expand(text: &str, environment: &BTreeMap<String, String>) -> Result<String, (String, String)> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        let after = from.get(2..).unwrap_or_default();
        if let Some(kept) = before.strip_suffix('$') {
            out.push_str(kept);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            return Err(("`${` has no `}` after it".into(), "write $${ for a literal ${".into()));
        };
        out.push_str(lookup(name, environment)?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn lookup<'e>(name: &str, environment: &'e BTreeMap<String, String>) -> Result<&'e str, (String, String)> {
    if !is_variable_name(name) {
        let message = format!("`${{{name}}}` does not name a variable");
        return Err((message, "write ${NAME}, without defaults or operators".into()));
    }
    environment.get(name).map(String::as_str).ok_or_else(|| {
        let message = format!("the variable {name} is not set in only1mcp's environment");
        (message, format!("set {name} before only1mcp starts, or write the value out"))
    })
}

/// Whether a text can name a variable: letters, digits and `_`, not beginning with a digit.
#[must_use]
pub fn is_variable_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand_with(text: &str) -> Result<String, (String, String)> {
        expand(text, &BTreeMap::from([("A".to_owned(), "x${B}".to_owned())]))
    }

    #[test]
    fn variables_are_put_in_once_and_not_again() {
        assert_eq!(expand_with("1${A}2${A}").unwrap(), "1x${B}2x${B}");
        assert_eq!(expand_with("$A $$ $${A} é").unwrap(), "$A $$ ${A} é");
    }

    #[test]
    fn an_unset_variable_is_an_error_that_names_it() {
        assert!(expand_with("${NONE}").unwrap_err().0.contains("NONE"));
        for bad in ["${", "${A", "${}", "${A:-x}", "${1}"] {
            assert!(expand_with(bad).is_err(), "{bad}");
        }
    }
}
