//! MCP conversations over HTTP and over the relay, in both eras, by requests of which each byte is the test's own.

mod asking;
mod identity;
mod legacy;
mod modern;
mod readme;
mod relay;
mod streams;
mod transport;

use harness::configuration::Configuration;
use harness::daemon::Daemon;

/// A daemon with one fixture server per era, the four cells of the matrix.
fn both_eras() -> Daemon {
    let configuration = Configuration::new();
    let configuration = configuration.fixture("old", "--era legacy --lock-era");
    Daemon::start(&configuration.fixture("new", "--era modern --lock-era"))
}

/// The servers of [`both_eras`].
const SERVERS: [&str; 2] = ["old", "new"];
