//! What may be typed: commands, arguments and flags, with the help a person reads.

use super::exit_code;
use super::limits::{POOL_COUNT, POOL_FIRST, TEST_POOL_COUNT, TEST_POOL_FIRST, TEST_POOLS};
use clap::{Args, Parser, Subcommand, ValueEnum};
use only1mcp_policy::view::ToolView;
use std::path::PathBuf;
use std::str::FromStr;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "only1mcp",
    version,
    max_term_width = 100,
    about = "One endpoint in front of many MCP servers, each in its own sandbox",
    after_help = "Start here: `only1mcp start`, then point an MCP client at the URL it prints.",
    after_long_help = exit_code::help(),
    disable_help_subcommand = true
)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the daemon: the launcher, the proxy and all configured servers
    ///
    /// Runs in the foreground until SIGTERM or SIGINT. SIGHUP has the configuration read again, or ends it
    /// if it was started from a terminal, which is closed then. As root it gives every server a uid of its own; as an ordinary user the servers share the user's uid and are kept apart by
    /// namespaces, Landlock and system call filters. Without a configuration it serves two
    /// built-in servers, so that there is something to try.
    Start(StartArguments),
    /// Be an MCP server on standard input and output, for clients that start their servers
    ///
    /// Relays to the daemon of this user, and starts one in the background if none runs (its log
    /// is daemon.log in the state directory). With --config it runs a private instance of its own
    /// instead, with its own state, which ends with the client.
    Stdio(StdioArguments),
    /// Look at policies: what each server may touch
    Policy(PolicyArguments),
    /// Look at the configuration
    Config(ConfigArguments),
    /// Show the servers of the running daemon: state, tools, calls and walls
    Status(StatusArguments),
    /// Count the tokens that the tools take of a model's context, and say which view fits
    ///
    /// For each server and view, of the running daemon or of files. Counted, in tokens of o200k_base (the
    /// totals in cl100k_base, too), is what a host puts before a model: name, description and input schema
    /// of each tool.
    Context(ContextArguments),
    /// Have the running daemon read its configuration again, and say whether it is in force
    ///
    /// Changes of the files are noticed anyway; this waits until they are in force, with exit code 65 if
    /// errors keep them from it. Everything goes on as before then.
    Reload(ReloadArguments),
    /// Call one tool of the running daemon and print what it says
    Call(CallArguments),
    /// Try each wall on this machine, and say what is missing and how to mend it
    ///
    /// Every line is an attempt, not a guess: namespaces are really created, /proc is really mounted,
    /// Landlock is really put in force, in short-lived children of this program. Exit code 0 if all
    /// required walls stand, 69 otherwise.
    Doctor(DoctorArguments),
    /// Be the proxy (started by `start` or by systemd, not by people)
    #[command(hide = true)]
    Serve(ServeArguments),
}

/// Where the instance keeps its files.
#[derive(Args, Clone, Debug, Default)]
pub struct Places {
    /// Directory for what must outlive the daemon: token, server state, credentials
    ///
    /// As root /var/lib/only1mcp, else $XDG_STATE_HOME/only1mcp or ~/.local/state/only1mcp.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Directory for the sockets of the running daemon
    ///
    /// As root /run/only1mcp, else $XDG_RUNTIME_DIR/only1mcp or /tmp/only1mcp-UID.
    #[arg(long, value_name = "DIR")]
    pub runtime_dir: Option<PathBuf>,
}

/// Which configuration.
#[derive(Args, Clone, Debug, Default)]
pub struct Source {
    /// Configuration file, or the word `builtin` for the embedded default
    ///
    /// Without it: as root /etc/only1mcp/config.yaml or .toml, else $XDG_CONFIG_HOME/only1mcp/ or
    /// ~/.config/only1mcp/. If there is none, the embedded default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Arguments of `start`.
#[derive(Args, Debug)]
pub struct StartArguments {
    /// Which configuration.
    #[command(flatten)]
    pub source: Source,
    /// Address to serve MCP on, instead of the configuration's: 127.0.0.1:8080, [::1]:8080 or 8080
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// How the tools of all servers are shown to clients, instead of as the configuration says
    ///
    /// A client can choose for itself by the URL: /view/search/mcp, or /mcp?view=search.
    #[arg(long, value_enum)]
    pub view: Option<ViewName>,
    /// Start even where user namespaces are blocked, with fewer walls around the servers
    #[arg(long)]
    pub allow_degraded: bool,
    /// Where the instance keeps its files.
    #[command(flatten)]
    pub places: Places,
    /// As root: the uids and gids for the launcher, the proxy and the servers
    #[arg(long, value_name = "FIRST:COUNT", default_value_t = Pool::default())]
    pub pool: Pool,
    /// Detach from the terminal: for `stdio`
    #[arg(long, hide = true)]
    pub detached: bool,
    /// End with the process that started us: for `stdio` and `policy test`
    #[arg(long, hide = true)]
    pub tied: bool,
    /// Start nothing but the probe, in the place of this server: for `policy test`
    #[arg(long, hide = true, value_name = "SERVER", requires = "canary")]
    pub probe: Option<String>,
    /// The directory of canaries that the probe sees: for `policy test`
    #[arg(long, hide = true, value_name = "DIR", requires = "probe")]
    pub canary: Option<PathBuf>,
}

/// How tools are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ViewName {
    /// Every tool as its server describes it
    Full,
    /// Every tool, its definition shortened without changing which arguments are valid
    Compact,
    /// Every tool by its signature and one sentence
    Brief,
    /// Tools are searched for with a few tools of our own
    Search,
    /// In full while the definitions are few, else by search
    Auto,
}

impl From<ViewName> for ToolView {
    fn from(name: ViewName) -> Self {
        match name {
            ViewName::Full => Self::Full,
            ViewName::Compact => Self::Compact,
            ViewName::Brief => Self::Brief,
            ViewName::Search => Self::Search,
            ViewName::Auto => Self::Auto,
        }
    }
}

/// A range of uids and gids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The first one: the launcher's.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl Pool {
    /// The range for a `policy test` by the process of this number. Canaries have the uid of the server on trial,
    /// and must not be another test's.
    #[must_use]
    pub const fn of_test(process: u32) -> Self {
        let number = process % TEST_POOLS;
        Self { first: TEST_POOL_FIRST + number * TEST_POOL_COUNT, count: TEST_POOL_COUNT }
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self { first: POOL_FIRST, count: POOL_COUNT }
    }
}

impl std::fmt::Display for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.first, self.count)
    }
}

impl FromStr for Pool {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("want FIRST:COUNT, such as {}", Self::default());
        let (first, count) = text.split_once(':').ok_or_else(form)?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| form());
        Ok(Self { first: number(first)?, count: number(count)? })
    }
}

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub struct ServeArguments {
    /// How the whole runs
    #[arg(long, value_enum)]
    pub mode: ServeMode,
    /// The launcher's socket
    #[arg(long, value_name = "SOCKET")]
    pub launcher: PathBuf,
    /// File with the bearer token
    #[arg(long, value_name = "FILE")]
    pub token_file: PathBuf,
    /// Root mode: the uid and gid to become
    #[arg(long, value_name = "UID")]
    pub user: Option<u32>,
    /// How the tools of all servers are shown
    #[arg(long, value_enum)]
    pub view: Option<ViewName>,
    /// Print the start screen once, when ready
    #[arg(long)]
    pub start_screen: bool,
}

/// How the whole runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ServeMode {
    /// Started by a person
    User,
    /// Started as root by our own supervisor
    Root,
    /// Started by systemd
    System,
}

/// Arguments of `stdio`.
#[derive(Args, Debug)]
pub struct StdioArguments {
    /// Run a private instance with this configuration file, with its own state, ended with the client
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub config: Option<PathBuf>,
    /// Relay to an only1mcp elsewhere, or to any MCP server that speaks streamable HTTP
    ///
    /// Plain http:// only. A bearer token is taken from the environment variable ONLY1MCP_TOKEN.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Where the instance keeps its files.
    #[command(flatten)]
    pub places: Places,
}

/// Arguments of `policy`.
#[derive(Args, Debug)]
pub struct PolicyArguments {
    /// What to do with them.
    #[command(subcommand)]
    pub command: PolicyCommand,
}

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Find errors and warnings, with line and column; exit code 65 on errors
    Check(PolicyCheckArguments),
    /// Say in plain words what one server may touch: files, system calls, network, limits, programs
    Explain(PolicyExplainArguments),
    /// Say what a new policy allows that the old one did not, and what it no longer allows
    ///
    /// Effects are compared, not texts: files, system calls, limits, variables and credentials, tools,
    /// walls that are required. What cannot be compared counts as wider. Exit code 1 if the new one is
    /// wider in anything, 0 if not.
    Diff(PolicyDiffArguments),
    /// Attack the real sandbox of one server under its own policy, and print what stopped each attempt
    ///
    /// Starts the launcher once more, with the probe in the place of the server and in directories of
    /// its own; the running daemon and the state of its servers are not touched. Each attempt is also
    /// made outside, where it must work, and its harmless twin inside, which must work too. What the
    /// policy grants is no escape, and is said. Exit code 0 if the walls hold, 1 if an attempt got
    /// through, 69 if one could not be tried.
    Test(PolicyTestArguments),
}

/// Arguments of `policy check`.
#[derive(Args, Debug)]
pub struct PolicyCheckArguments {
    /// Policy files, directories of them, or names of servers; without any, the whole configuration
    #[arg(value_name = "FILE|DIR|SERVER")]
    pub subjects: Vec<String>,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
    /// Which configuration.
    #[command(flatten)]
    pub source: Source,
}

/// Arguments of `policy explain`.
#[derive(Args, Debug)]
pub struct PolicyExplainArguments {
    /// The server's id
    #[arg(value_name = "SERVER")]
    pub server: String,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    /// Which configuration.
    #[command(flatten)]
    pub source: Source,
}

/// Arguments of `policy diff`.
#[derive(Args, Debug)]
pub struct PolicyDiffArguments {
    /// A policy file, a configuration file, a directory of policies or with a configuration, or a server's id
    #[arg(value_name = "OLD")]
    pub old: String,
    /// The same, of the same kind
    #[arg(value_name = "NEW")]
    pub new: String,
    /// Print the differences as one JSON document
    #[arg(long)]
    pub json: bool,
    /// Which configuration.
    #[command(flatten)]
    pub source: Source,
}

/// Arguments of `policy test`.
#[derive(Args, Debug)]
pub struct PolicyTestArguments {
    /// The server's id
    #[arg(value_name = "SERVER")]
    pub server: String,
    /// Print the results as one JSON document
    #[arg(long)]
    pub json: bool,
    /// Which configuration.
    #[command(flatten)]
    pub source: Source,
    /// Directory in which files to be attacked are laid for the time of the test
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    pub canaries: PathBuf,
    /// Test even where user namespaces are blocked, with fewer walls around the server
    #[arg(long)]
    pub allow_degraded: bool,
    /// Where the instance keeps its files.
    #[command(flatten)]
    pub places: Places,
    /// As root: the uids and gids of the test
    ///
    /// Without it, a range beside that of the daemon, another for each test at the same time.
    #[arg(long, value_name = "FIRST:COUNT")]
    pub pool: Option<Pool>,
}

/// Arguments of `config`.
#[derive(Args, Debug)]
pub struct ConfigArguments {
    /// What to do with it.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Find errors and warnings, with line and column; exit code 65 on errors
    Check(ConfigToolArguments),
    /// Print the configuration in force, defaults filled in, secrets left out
    Show(ConfigToolArguments),
    /// Print the JSON Schema of config.yaml, for editors
    Schema(ConfigToolArguments),
}

/// Arguments of the `config` commands.
#[derive(Args, Debug)]
pub struct ConfigToolArguments {
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    /// Which configuration.
    #[command(flatten)]
    pub source: Source,
}

/// Arguments of `reload`.
#[derive(Args, Debug)]
pub struct ReloadArguments {
    /// Where the instance keeps its files.
    #[command(flatten)]
    pub places: Places,
}

/// Arguments of `status`.
#[derive(Args, Debug)]
pub struct StatusArguments {
    /// Print the daemon's answer as it is
    #[arg(long)]
    pub json: bool,
    /// Where the instance keeps its files.
    #[command(flatten)]
    pub places: Places,
}

/// Arguments of `context`.
#[derive(Args, Debug)]
pub struct ContextArguments {
    /// Recorded answers to tools/list to count instead, each as a server with the name of its file
    ///
    /// The result, {"tools": [...]}, or the whole JSON-RPC response with it.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print all figures as JSON, those of each tool, too
    #[arg(long)]
    pub json: bool,
    /// Where the instance keeps its files.
    #[command(flatten)]
    pub places: Places,
}

/// Arguments of `call`.
#[derive(Args, Debug)]
pub struct CallArguments {
    /// Server and tool, such as files.read_file
    #[arg(value_name = "SERVER.TOOL")]
    pub tool: String,
    /// The tool's arguments as a JSON object
    #[arg(value_name = "JSON", default_value = "{}")]
    pub arguments: String,
    /// Print the raw result instead of its text
    #[arg(long)]
    pub json: bool,
    /// Where the instance keeps its files.
    #[command(flatten)]
    pub places: Places,
}

/// Arguments of `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArguments {
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
    /// As root: the pool of uids and gids to check
    #[arg(long, value_name = "FIRST:COUNT", default_value_t = Pool::default())]
    pub pool: Pool,
    /// Try one thing in this process and exit with the errno: for `doctor` itself
    #[arg(long, hide = true, value_name = "NAME")]
    pub probe: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_of_commands_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn no_pool_of_a_test_meets_the_daemons_or_another_tests() {
        let daemon = Pool::default();
        let pools: Vec<Pool> = (0..TEST_POOLS).map(Pool::of_test).collect();
        assert!(pools.iter().all(|pool| pool.first >= daemon.first + daemon.count));
        assert!(pools.windows(2).all(|two| two[1].first == two[0].first + two[0].count));
    }

    #[test]
    fn a_pool_needs_two_numbers() {
        assert_eq!("5000:100".parse(), Ok(Pool { first: 5000, count: 100 }));
        for bad in ["", "5000", "5000:", ":1", "a:b", "-1:5", "1:2:3"] {
            assert!(bad.parse::<Pool>().is_err(), "{bad:?}");
        }
    }
}
