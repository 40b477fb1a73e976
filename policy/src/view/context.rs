//! How tools and results are shown: what decides how much of a model's context they take.

use serde::{Deserialize, Serialize};

/// How tools are shown to clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolView {
    /// Every tool as its server describes it.
    #[default]
    Full,
    /// Every tool, its definition shortened.
    Compact,
    /// Every tool by name and in a few words.
    Brief,
    /// Tools are searched for; only those that are [`Expose::Listed`] are listed.
    Search,
    /// In full while the definitions are few, else less.
    Auto,
}

/// Where a server's tools can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expose {
    /// In the list of every view.
    Listed,
    /// In no list: they must be searched for.
    Found,
    /// Neither listed nor found where servers are shown together.
    Hidden,
}

/// How tables in results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tables {
    /// As comma-separated values.
    Csv,
    /// As TOON, token-oriented object notation.
    Toon,
}

/// What becomes of a server's results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultsView {
    /// Tokens of a text above which it is cut; nothing if never.
    pub max_tokens: Option<u32>,
    /// How tables are written; nothing if as they come.
    pub tables: Option<Tables>,
}

/// A principal as a configuration names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalName {
    /// Bearers of the token.
    Token,
    /// Processes of this uid.
    User(u32),
}

/// How one principal sees the tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrincipalView {
    /// Who.
    pub principal: PrincipalName,
    /// How.
    pub view: ToolView,
}

impl ToolView {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Full, Self::Compact, Self::Brief, Self::Search, Self::Auto];

    /// The view of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.word() == word)
    }

    /// As a configuration names it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Compact => "compact",
            Self::Brief => "brief",
            Self::Search => "search",
            Self::Auto => "auto",
        }
    }
}

impl Expose {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Listed, Self::Found, Self::Hidden];

    /// The one of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|expose| expose.word() == word)
    }

    /// As a configuration names it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Found => "found",
            Self::Hidden => "hidden",
        }
    }
}

impl Tables {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Csv, Self::Toon];

    /// The one of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tables| tables.word() == word)
    }

    /// As a configuration names it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Toon => "toon",
        }
    }
}

impl PrincipalName {
    /// The principal of this text. Each has one text only, so that none can be named twice unnoticed.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        if text == "token" {
            return Some(Self::Token);
        }
        let uid = text.strip_prefix("uid:")?.parse().ok()?;
        // To the kernel the last number stands for no user.
        let user = (uid != u32::MAX).then_some(Self::User(uid))?;
        (user.text() == text).then_some(user)
    }

    /// As a configuration names it.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Token => "token".to_owned(),
            Self::User(uid) => format!("uid:{uid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};

    #[test]
    fn every_word_is_the_same_in_a_configuration_and_in_the_view() {
        for view in ToolView::ALL {
            assert_eq!(ToolView::of(view.word()), Some(view));
            assert_eq!(to_value(view).unwrap(), view.word());
        }
        for expose in Expose::ALL {
            assert_eq!(Expose::of(expose.word()), Some(expose));
            assert_eq!(to_value(expose).unwrap(), expose.word());
        }
        for tables in Tables::ALL {
            assert_eq!(Tables::of(tables.word()), Some(tables));
            assert_eq!(to_value(tables).unwrap(), tables.word());
        }
        assert_eq!((ToolView::of("Full"), Expose::of(""), Tables::of("json")), (None, None, None));
    }

    #[test]
    fn a_principal_has_one_text_only() {
        for (text, name) in [
            ("token", PrincipalName::Token),
            ("uid:0", PrincipalName::User(0)),
            ("uid:1000", PrincipalName::User(1000)),
            ("uid:4294967294", PrincipalName::User(u32::MAX - 1)),
        ] {
            assert_eq!((PrincipalName::of(text), name.text().as_str()), (Some(name), text));
        }
        for text in [
            "",
            "Token",
            "token ",
            "uid",
            "uid:",
            "uid:-1",
            "uid:+1",
            "uid:01",
            "uid: 1",
            "uid:0x1",
            "UID:1",
            "uid:ann",
            "uid:4294967295",
            "uid:4294967296",
            "1000",
            "*",
        ] {
            assert_eq!(PrincipalName::of(text), None, "{text}");
        }
    }

    #[test]
    fn principals_are_told_by_kind_and_number() {
        let views = [
            PrincipalView { principal: PrincipalName::Token, view: ToolView::Search },
            PrincipalView { principal: PrincipalName::User(7), view: ToolView::Full },
        ];
        let told = to_value(views).unwrap();
        assert_eq!(
            told,
            json!([{"principal": "token", "view": "search"}, {"principal": {"user": 7}, "view": "full"}])
        );
        assert_eq!(serde_json::from_value::<[PrincipalView; 2]>(told).unwrap(), views);
    }
}
