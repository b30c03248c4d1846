//! The language server as editors meet it: a child process `mxcp lsp`, framed messages, and copies
//! of `fixtures/customer_360`.

mod actions;
mod changes;
mod client;
mod completion;
mod diagnostics;
mod half_typed;
mod hover;
mod navigation;
mod outline;
mod rename;
mod rename_random;

use client::Client;
