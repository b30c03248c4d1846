//! The language server as editors meet it: a child process `mxcp lsp`, framed messages, and copies
//! of `fixtures/customer_360`.

mod actions;
mod client;
mod completion;
mod diagnostics;
mod hover;
mod navigation;
mod outline;
mod rename;

use client::Client;
