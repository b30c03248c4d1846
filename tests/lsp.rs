//! The language server as editors meet it: a child process `mxcp lsp`, framed messages, and copies
//! of `fixtures/customer_360`.

mod client;
mod diagnostics;
mod hover;
mod navigation;

use client::Client;
