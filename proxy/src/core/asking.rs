//! One request of a client on its way through the core, and how it is answered.

use crate::core::{Core, parked, rounds};
use crate::exchange::{Answer, Caller, Era};
use crate::mcp::envelope::{Envelope, EnvelopeError};
use crate::mcp::error::{RpcError, error_response, result_response};
use crate::mcp::level::Level;
use crate::mcp::method::Method;
use crate::mcp::object::{Keys, Object};
use crate::mcp::request::Asked;
use crate::mcp::{content, normalise};
use crate::servers::pending::{ClientKey, ReplyKind};
use crate::servers::server::ask::ClientSide;
use crate::servers::server::{Answered, Server};
use crate::servers::server_request::ServerRequest;
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What was heard of a server.
#[derive(Debug)]
pub enum Heard {
    /// Its answer.
    Answer(Answered),
    /// That the client must bring more: a raw result for it.
    InputRequired(String),
}

/// One request of a client.
#[derive(Debug)]
pub struct Asking<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// Raw, to be echoed byte for byte.
    pub id: &'a str,
    /// What is asked.
    pub method: Method,
    /// The same, as written.
    pub method_name: Cow<'a, str>,
    /// An object, raw.
    pub params: Option<&'a str>,
    /// Where notifications of this request go.
    pub stream: &'a mpsc::Sender<Bytes>,
}

impl<'a> Asking<'a> {
    /// Reads a request.
    ///
    /// # Errors
    /// [`EnvelopeError`] if it is none.
    pub fn new(
        caller: &'a Caller,
        body: &'a [u8],
        stream: &'a mpsc::Sender<Bytes>,
    ) -> Result<Self, EnvelopeError> {
        match Envelope::parse(body)? {
            Envelope::Request { id, method, params } => {
                Ok(Self { caller, id, method: Method::of(&method), method_name: method, params, stream })
            }
            _ => Err(EnvelopeError::Shapeless),
        }
    }

    /// Refuses a method that the client's era does not have.
    ///
    /// # Errors
    /// [`RpcError`] if so.
    pub fn check_era(&self) -> Result<(), RpcError> {
        let is_foreign = match self.caller.era {
            Era::Legacy => self.method.is_modern_only(),
            // With a number it is what a `subscriptions/listen` has its resources watched by.
            Era::Modern => {
                self.method.is_legacy_only() && !(self.method.watches() && self.caller.session.is_some())
            }
        };
        if is_foreign { Err(self.not_found()) } else { Ok(()) }
    }

    /// The parameters, one level.
    ///
    /// # Errors
    /// [`RpcError`] if there are none, or a key is there twice.
    pub fn object(&self) -> Result<Object<'a>, RpcError> {
        let params = self.params.ok_or_else(|| RpcError::invalid_params("\"params\" is missing"))?;
        Object::parse(params, Keys::Folded)
            .map_err(|error| RpcError::invalid_params(format!("params: {error}")))
    }

    /// A text among the parameters.
    ///
    /// # Errors
    /// [`RpcError`] if it is not there.
    pub fn text(&self, params: &Object<'a>, key: &str) -> Result<Cow<'a, str>, RpcError> {
        params.get_text(key).ok_or_else(|| RpcError::invalid_params(format!("params.{key} must be a string")))
    }

    /// The request, with `params` as the server knows them.
    #[must_use]
    pub fn asked<'r>(&'r self, params: Option<&'r str>, log_level: Option<Level>) -> Asked<'r> {
        let capabilities = &self.caller.capabilities;
        Asked { method: &self.method_name, params, client: self.caller.era, log_level, capabilities }
    }

    /// Asks a server, with `params` as the server knows them; what it asks back reaches the client.
    ///
    /// # Errors
    /// [`RpcError`] if there is no answer.
    pub async fn ask(
        &self,
        core: &Core,
        server: &Arc<Server>,
        params: Option<&str>,
        log_level: Option<Level>,
    ) -> Result<Heard, RpcError> {
        core.limiter.count(core.in_force().view.proxy.rate_limit, self, &server.name)?;
        match self.caller.era {
            _ if !self.method.may_ask_back() => {
                self.ask_plainly(server, params, log_level).await.map(Heard::Answer)
            }
            Era::Legacy => rounds::ask(self, core, server, params, log_level).await.map(Heard::Answer),
            Era::Modern => parked::ask(self, core, server, params).await,
        }
    }

    /// Asks a server that will ask nothing back.
    ///
    /// # Errors
    /// [`RpcError`] if there is no answer.
    pub async fn ask_plainly(
        &self,
        server: &Server,
        params: Option<&str>,
        log_level: Option<Level>,
    ) -> Result<Answered, RpcError> {
        server.ask(&self.asked(params, log_level), &self.side(None, None)).await
    }

    /// Where a call of this client goes on before it is answered: what its server asks goes to `requests`, and
    /// `replica` alone knows what it is about.
    #[must_use]
    pub fn side(&self, requests: Option<mpsc::Sender<ServerRequest>>, replica: Option<u32>) -> ClientSide {
        ClientSide {
            notifications: self.stream.clone(),
            requests,
            client: self.client(),
            principal: self.caller.principal.clone(),
            may_keep: self.method.is_cacheable(),
            replica,
        }
    }

    /// What tells this client from others.
    #[must_use]
    pub fn client(&self) -> ClientKey {
        match (self.caller.era, self.caller.session, self.caller.relay) {
            (Era::Legacy, Some(number), _) | (Era::Modern, _, Some(number)) => ClientKey::Session(number),
            _ => ClientKey::Principal(self.caller.principal.clone()),
        }
    }

    /// Passes on what was heard of a server, a result changed by `edit`.
    ///
    /// # Errors
    /// [`RpcError`] if this client could not understand it.
    pub fn pass_on(
        &self,
        server: &Server,
        heard: &Heard,
        server_info: &str,
        edit: impl for<'r> FnOnce(&'r str) -> Cow<'r, str>,
    ) -> Result<Answer, RpcError> {
        match heard {
            Heard::Answer(answered) => self.pass_on_answer(server, answered, server_info, edit),
            Heard::InputRequired(result) => Ok(self.own_result(result, server_info)),
        }
    }

    /// Passes a server's answer on, its result changed by `edit`.
    ///
    /// # Errors
    /// [`RpcError`] if this client could not understand it.
    pub fn pass_on_answer(
        &self,
        server: &Server,
        answered: &Answered,
        server_info: &str,
        edit: impl for<'r> FnOnce(&'r str) -> Cow<'r, str>,
    ) -> Result<Answer, RpcError> {
        let Answered { reply, facts, .. } = answered;
        match reply.kind() {
            ReplyKind::Result => {
                let result =
                    normalise::result(reply.body(), self.method, facts.era, self.caller.era, server_info)
                        .map_err(|refused| refused.error(server.name.as_str()))?;
                Ok(self.result(&content::known_to(self.caller.version, self.method, &edit(&result))))
            }
            ReplyKind::Error => {
                let error = normalise::error(reply.body(), facts.era, self.caller.era);
                Ok(Answer {
                    response: error_response(self.id, &error),
                    error_code: normalise::code(&error).or(Some(0)),
                    retry_after: None,
                })
            }
            ReplyKind::Invalid => Err(server.broken_answer()),
        }
    }

    /// Our own result.
    #[must_use]
    pub fn result(&self, result: &str) -> Answer {
        Answer { response: result_response(self.id, result), error_code: None, retry_after: None }
    }

    /// Our own result, with what a modern client expects of any.
    #[must_use]
    pub fn own_result(&self, result: &str, server_info: &str) -> Answer {
        match self.caller.era {
            Era::Legacy => self.result(result),
            Era::Modern => match normalise::to_modern(result, self.method, server_info) {
                Ok(stamped) => self.result(&stamped),
                Err(_) => self.result(result),
            },
        }
    }

    /// What a client is told of a method nobody here has.
    #[must_use]
    pub fn not_found(&self) -> RpcError {
        RpcError::method_not_found(&self.method_name)
    }
}

/// The answer to a request that failed.
#[must_use]
pub fn failed(id: &str, error: &RpcError) -> Answer {
    Answer { response: error.response(id), error_code: Some(error.code), retry_after: error.retry_after }
}
