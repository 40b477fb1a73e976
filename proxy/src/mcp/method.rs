//! The methods the core treats in a way of their own.

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// A method of a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Method {
            $($(#[$doc])* $variant,)*
            /// Any other: passed on where there is one server to pass it to.
            Other,
        }

        impl Method {
            /// The method with this name.
            #[must_use]
            pub fn of(text: &str) -> Self {
                match text { $($text => Self::$variant,)* _ => Self::Other }
            }
        }
    };
}

methods! {
    /// The handshake of legacy clients.
    Initialize = "initialize",
    /// Are you there?
    Ping = "ping",
    /// What modern clients may ask first.
    Discover = "server/discover",
    /// The tools.
    ToolsList = "tools/list",
    /// Runs a tool.
    ToolsCall = "tools/call",
    /// The prompts.
    PromptsList = "prompts/list",
    /// One prompt, filled in.
    PromptsGet = "prompts/get",
    /// The resources.
    ResourcesList = "resources/list",
    /// The templates of resources.
    TemplatesList = "resources/templates/list",
    /// One resource.
    ResourcesRead = "resources/read",
    /// Legacy: tell me when a resource changes.
    Subscribe = "resources/subscribe",
    /// Legacy: no longer.
    Unsubscribe = "resources/unsubscribe",
    /// Values for an argument.
    Complete = "completion/complete",
    /// Legacy: how much to log.
    SetLevel = "logging/setLevel",
    /// Modern: a stream of changes.
    Listen = "subscriptions/listen",
    /// How a task stands.
    TasksGet = "tasks/get",
    /// Legacy: what came of a task; waits for it.
    TasksResult = "tasks/result",
    /// Legacy: the tasks.
    TasksList = "tasks/list",
    /// Ends a task.
    TasksCancel = "tasks/cancel",
    /// Modern: what a task has asked for.
    TasksUpdate = "tasks/update",
}

impl Method {
    /// Whether it may be asked a second time when it is not known if the first was carried out.
    #[must_use]
    pub fn is_repeatable(self) -> bool {
        !matches!(self, Self::ToolsCall | Self::TasksCancel | Self::TasksUpdate | Self::Other)
    }

    /// Whether a server may ask its client something before it answers.
    #[must_use]
    pub fn may_ask_back(self) -> bool {
        matches!(self, Self::ToolsCall | Self::PromptsGet | Self::ResourcesRead | Self::TasksResult)
    }

    /// Whether a modern result must say how long it may be kept.
    #[must_use]
    pub fn is_cacheable(self) -> bool {
        matches!(
            self,
            Self::Discover
                | Self::ToolsList
                | Self::PromptsList
                | Self::ResourcesList
                | Self::TemplatesList
                | Self::ResourcesRead
        )
    }

    /// Whether modern revisions have removed it.
    #[must_use]
    pub fn is_legacy_only(self) -> bool {
        matches!(
            self,
            Self::Initialize
                | Self::Ping
                | Self::Subscribe
                | Self::Unsubscribe
                | Self::SetLevel
                | Self::TasksResult
                | Self::TasksList
        )
    }

    /// Whether it is about tasks.
    #[must_use]
    pub fn is_of_tasks(self) -> bool {
        matches!(
            self,
            Self::TasksGet | Self::TasksResult | Self::TasksList | Self::TasksCancel | Self::TasksUpdate
        )
    }

    /// Whether a server of the other era would not understand it, or would take it for something else.
    #[must_use]
    pub fn stays_in_its_era(self) -> bool {
        self == Self::Other || self.is_of_tasks()
    }

    /// Whether it begins or ends the watch of a resource.
    #[must_use]
    pub fn watches(self) -> bool {
        matches!(self, Self::Subscribe | Self::Unsubscribe)
    }

    /// Whether only modern revisions have it.
    #[must_use]
    pub fn is_modern_only(self) -> bool {
        matches!(self, Self::Discover | Self::Listen | Self::TasksUpdate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_and_unknown_methods_may_not_be_repeated() {
        for text in
            ["tools/list", "resources/read", "prompts/get", "ping", "server/discover", "completion/complete"]
        {
            assert!(Method::of(text).is_repeatable(), "{text}");
        }
        for text in ["tools/call", "tasks/cancel", "Tools/List", ""] {
            assert!(!Method::of(text).is_repeatable(), "{text}");
        }
    }
}
