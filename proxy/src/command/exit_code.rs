//! Every exit code of the command line and its meaning, in one place (after sysexits.h).

/// Why the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// Done, and the answer is no: a tool reported an error, a new policy is wider, an attempt to break out got through.
    No,
    /// The command line is wrong.
    Usage,
    /// A document or an argument's content is wrong.
    Data,
    /// Something needed is not there: the daemon, a wall of this machine, a feature, an answer of `policy test`.
    Unavailable,
    /// A defect in only1mcp.
    Internal,
    /// A file, a directory or a socket cannot be made.
    CannotCreate,
    /// Reading or writing failed.
    InputOutput,
    /// It may work when tried again.
    TemporaryFailure,
    /// Not allowed.
    Permission,
    /// The machine or the directories are set up wrongly.
    Config,
    /// A program of ours ended with a code of its own.
    Passed(u8),
}

/// The table of the manual: each code and what it means.
pub const TABLE: [(Exit, &str); 11] = [
    (Exit::Ok, "done"),
    (Exit::No, "done, and the answer is no (a tool's error, a wider policy, an attempt that got through)"),
    (Exit::Usage, "wrong usage"),
    (Exit::Data, "a configuration, policy or argument has errors"),
    (Exit::Unavailable, "the daemon, a wall of this machine, a feature or a proof is missing"),
    (Exit::Internal, "a defect in only1mcp"),
    (Exit::CannotCreate, "a file, directory or socket cannot be made"),
    (Exit::InputOutput, "reading or writing failed"),
    (Exit::TemporaryFailure, "try again: another instance runs, or starting took too long"),
    (Exit::Permission, "not allowed"),
    (Exit::Config, "the machine or the directories are set up wrongly"),
];

impl Exit {
    /// The number the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::No => 1,
            Self::Usage => 64,
            Self::Data => 65,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::CannotCreate => 73,
            Self::InputOutput => 74,
            Self::TemporaryFailure => 75,
            Self::Permission => 77,
            Self::Config => 78,
            Self::Passed(code) => code,
        }
    }
}

/// The end of `only1mcp --help`.
#[must_use]
pub fn help() -> String {
    TABLE.iter().fold("Exit codes:\n".to_owned(), |text, (exit, meaning)| {
        format!("{text}  {:>2}  {meaning}\n", exit.code())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_meanings_share_a_code() {
        let mut codes: Vec<u8> = TABLE.iter().map(|(exit, _)| exit.code()).collect();
        codes.dedup();
        assert_eq!(codes, [0, 1, 64, 65, 69, 70, 73, 74, 75, 77, 78]);
    }
}
