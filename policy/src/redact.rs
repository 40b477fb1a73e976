//! Leaves out what may be a secret when a configuration is shown. Texts are shown as written, so a
//! `${NAME}` shows its name only.

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// Parts of names that tell of a secret.
const SECRET_NAMES: [&str; 8] =
    ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "APIKEY", "API_KEY", "PRIVATE_KEY", "ACCESS_KEY"];

/// Whether a variable or option of this name probably holds a secret.
#[must_use]
pub fn names_a_secret(name: &str) -> bool {
    let upper = name.to_uppercase().replace('-', "_");
    SECRET_NAMES.iter().any(|secret| upper.contains(secret))
}

/// A variable's value.
#[must_use]
pub fn variable(name: &str, written: &str) -> String {
    if names_a_secret(name) && !written.is_empty() && !is_reference(written) {
        return REDACTED.to_owned();
    }
    without_password(written)
}

/// Arguments: `--token=x`, `--token x` and passwords in addresses.
#[must_use]
pub fn arguments(written: &[String]) -> Vec<String> {
    let mut after_secret_option = false;
    let mut shown = Vec::new();
    for argument in written {
        let option = argument.starts_with('-').then(|| argument.split_once('=').unwrap_or((argument, "")));
        shown.push(match option {
            Some((name, value)) if names_a_secret(name) && argument.contains('=') => {
                format!("{name}={}", if is_reference(value) { value } else { REDACTED })
            }
            None if after_secret_option && !is_reference(argument) => REDACTED.to_owned(),
            _ => without_password(argument),
        });
        after_secret_option = option.is_some_and(|(name, _)| names_a_secret(name) && !argument.contains('='));
    }
    shown
}

/// Whether a text is one `${NAME}` and nothing else.
fn is_reference(text: &str) -> bool {
    let inside = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(crate::interpolate::is_variable_name)
}

/// `scheme://user:password@host` without the password.
fn without_password(text: &str) -> String {
    let found = text.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at_checked(end)?;
        let (user, host) = authority.rsplit_once('@')?;
        let (name, password) = user.split_once(':')?;
        (!is_reference(password)).then(|| format!("{scheme}://{name}:{REDACTED}@{host}{tail}"))
    });
    found.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_variables_with_telling_names_are_left_out() {
        assert_eq!(variable("GITHUB_TOKEN", "ghp_1"), REDACTED);
        assert_eq!(variable("GITHUB_TOKEN", "${GH}"), "${GH}");
        assert_eq!(variable("GITHUB_TOKEN", "x${GH}"), REDACTED);
        assert_eq!(variable("LEVEL", "info"), "info");
        assert_eq!(variable("DATABASE_URL", "postgres://me:pw@db/x"), "postgres://me:[redacted]@db/x");
    }

    #[test]
    fn secrets_in_arguments_are_left_out() {
        let words =
            ["run", "--api-key=abc", "--token", "abc", "--port", "1", "http://u:p@h/", "--password=${P}"];
        let words: Vec<String> = words.map(str::to_owned).to_vec();
        let expected = [
            "run",
            "--api-key=[redacted]",
            "--token",
            REDACTED,
            "--port",
            "1",
            "http://u:[redacted]@h/",
            "--password=${P}",
        ];
        assert_eq!(arguments(&words), expected);
    }
}
