//! Whether a URI can come from a template (RFC 6570). Time is bounded by the length of both.

/// A template, cut at its expressions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    /// `{x}`: one or more characters, no slash.
    Segment,
    /// `{+x}`, `{?x}` and their kin: anything, also nothing.
    Any,
}

impl Template {
    /// Cuts a template. What is no expression stands for itself.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let Some((expression, after)) = after.split_once('}') else { break };
            parts.push(Part::Literal(literal.as_bytes().to_vec()));
            let is_plain = expression.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && !expression.ends_with('*');
            parts.push(if is_plain { Part::Segment } else { Part::Any });
            rest = after;
        }
        parts.push(Part::Literal(rest.as_bytes().to_vec()));
        Self { parts }
    }

    /// Whether `uri` can come from it.
    #[must_use]
    pub fn matches(&self, uri: &str) -> bool {
        let bytes = uri.as_bytes();
        // reachable[n]: the parts so far can stand for the first n bytes.
        let mut reachable = vec![false; bytes.len() + 1];
        if let Some(first) = reachable.first_mut() {
            *first = true;
        }
        for part in &self.parts {
            reachable = part.advance(bytes, &reachable);
        }
        reachable.last() == Some(&true)
    }
}

impl Part {
    fn advance(&self, bytes: &[u8], reachable: &[bool]) -> Vec<bool> {
        let mut next = vec![false; reachable.len()];
        let mut carried = false;
        for (index, &from) in reachable.iter().enumerate() {
            match self {
                Self::Literal(literal) => {
                    let fits = from && bytes.get(index..).is_some_and(|rest| rest.starts_with(literal));
                    if let (true, Some(to)) = (fits, next.get_mut(index + literal.len())) {
                        *to = true;
                    }
                    continue;
                }
                Self::Segment => {
                    if let (true, Some(here)) = (carried, next.get_mut(index)) {
                        *here = true;
                    }
                    carried = (carried || from) && bytes.get(index).is_some_and(|byte| *byte != b'/');
                }
                Self::Any => {
                    carried |= from;
                    if let (true, Some(here)) = (carried, next.get_mut(index)) {
                        *here = true;
                    }
                }
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_what_an_expansion_can_give() {
        let cases = [
            ("test://template/{id}/data", "test://template/123/data", true),
            ("test://template/{id}/data", "test://template/1/2/data", false),
            ("test://template/{id}/data", "test://template//data", false),
            ("file://{+path}", "file:///etc/passwd", true),
            ("s://x{?q,r}", "s://x", true),
            ("s://x{?q,r}", "s://x?q=1", true),
            ("s://{a}-{b}", "s://1-2-3", true),
            ("s://{a}{b}", "s://1", false),
            ("plain", "plain", true),
            ("plain", "plain2", false),
            ("{unclosed", "{unclosed", true),
            ("s://{path*}", "s://a/b", true),
        ];
        for (template, uri, expected) in cases {
            assert_eq!(Template::new(template).matches(uri), expected, "{template} and {uri}");
        }
    }

    #[test]
    fn a_hostile_template_takes_no_long_time() {
        let template = Template::new(&"{a}{+b}x".repeat(200));
        assert!(!template.matches(&"y".repeat(5000)));
    }
}
