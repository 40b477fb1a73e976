//! Names of the aggregate endpoint: made from names that servers chose.

use only1mcp::mcp::names::{aggregate_name, nearest, split};
use only1mcp_policy::limits::{NAME_CHARACTERS_DEFAULT, NAME_CHARACTERS_RANGE};
use only1mcp_wire::ServerName;

/// The bytes are lines: a server's name, then two tools' names. An aggregate's name is short and legal, tells its
/// server where there is room for that, and two tools never share one.
///
/// # Panics
/// If not.
pub fn holds(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (server, first, second) = (next(), next(), next());
    let Ok(server) = ServerName::new(server) else { return };
    let server = server.as_str();
    let (least, most) = (*NAME_CHARACTERS_RANGE.start(), *NAME_CHARACTERS_RANGE.end());
    for characters_max in [least, NAME_CHARACTERS_DEFAULT as u64, most] {
        let characters_max = usize::try_from(characters_max).unwrap_or(usize::MAX);
        let name = aggregate_name(server, first, characters_max);
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        assert!(name.len() <= characters_max && name.chars().all(legal), "{first:?} became {name:?}");
        if characters_max >= NAME_CHARACTERS_DEFAULT {
            assert_eq!(split(&name).map(|(server, _)| server), Some(server), "{name:?} hides its server");
        }
        let other = aggregate_name(server, second, characters_max);
        assert!(
            first == second || name != other || is_marked(second, &name) || is_marked(first, &name),
            "{first:?} and {second:?} are both {name:?}"
        );
        assert_eq!(nearest(&name, [name.as_str(), "zz"].into_iter()), Some(name.as_str()));
    }
}

/// Whether a server called its tool what a marked name looks like, which only it can do to itself.
fn is_marked(tool: &str, name: &str) -> bool {
    name.ends_with(tool)
}
