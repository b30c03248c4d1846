//! The MCP server: the protocol in front of a [`Runtime`](crate::Runtime).
//!
//! It translates and nothing else: descriptors out of the manifest, requests into calls, outcomes
//! and errors into what clients understand. It must not decide about arguments, policies or results
//! (the runtime does), and it must not touch standard output but through the protocol.

mod asking;
mod calls;
mod changes;
mod completion;
mod cut;
mod descriptors;
mod ending;
mod failure;
mod handler;
mod http;
mod mending;
mod messages;
mod metrics;
mod opening;
mod page;
mod prompts;
mod reading;
mod schema;
mod sql_tools;
mod stdio;
mod tools;

#[cfg(test)]
mod tests;

pub use http::{HttpOptions, Listening, serve_http};
#[cfg(test)]
pub(crate) use schema::output_schema;
pub use stdio::{ServeError, serve_stdio, serve_stdio_on};
