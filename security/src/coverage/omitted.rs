//! What of the catalogue does not apply, and why.

use super::Omitted;

/// Why nothing about names, proxies and tunnels can be tried.
const NO_EGRESS: &str = "there is no way out yet: every server has an empty network, and a policy that asks for more is refused (N01 to N08 hold that)";

/// In the order of the catalogue.
pub const OMITTED: &[Omitted] = &[
    Omitted { id: "N09", what: "connect through the egress proxy to a forbidden domain", reason: NO_EGRESS },
    Omitted { id: "N10", what: "write an allowed domain so that another one is reached", reason: NO_EGRESS },
    Omitted { id: "N11", what: "rebind an allowed name to an inner address", reason: NO_EGRESS },
    Omitted { id: "N12", what: "name one host in TLS and another to the proxy", reason: NO_EGRESS },
    Omitted { id: "N13", what: "smuggle requests through the egress proxy", reason: NO_EGRESS },
    Omitted { id: "N14", what: "tunnel through the resolver inside", reason: NO_EGRESS },
    Omitted { id: "N15", what: "exhaust the egress proxy", reason: NO_EGRESS },
    Omitted {
        id: "L08",
        what: "read paths, ids and policies in errors",
        reason: "a client holds the token of whoever runs only1mcp, and is told on purpose why a server failed, its last words included",
    },
];
