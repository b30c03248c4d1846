//! One file per family of requests: positions in, the answer of [`mxcp_ide`] out.

pub(crate) mod diagnostics;
