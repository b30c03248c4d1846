//! The policies of one endpoint, compiled. A condition that does not compile is kept as what it is:
//! one that denies every call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::{Env, Program};
use mxcp_artifact::{Policies, Policy};

pub(super) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

#[derive(Debug)]
pub(crate) struct Rule {
    pub(super) policy: Policy,
    /// `None` when the condition does not compile.
    pub(super) program: Option<Program>,
}

#[derive(Debug, Default)]
pub(crate) struct PolicySet {
    pub(super) input: Vec<Rule>,
    pub(super) output: Vec<Rule>,
}

impl PolicySet {
    pub(crate) fn new(policies: &Policies) -> Self {
        Self {
            input: policies.input.iter().map(rule).collect(),
            output: policies.output.iter().map(rule).collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.input.is_empty() && self.output.is_empty()
    }
}

fn rule(policy: &Policy) -> Rule {
    let source = policy.condition.as_str();
    // The parser is generated code; a panic in it must not take the server down.
    let program = catch_unwind(AssertUnwindSafe(|| ENV.compile(source)))
        .ok()
        .and_then(Result::ok);
    if program.is_none() {
        tracing::error!(
            condition = source,
            "the policy condition does not compile; every call is denied"
        );
    }
    Rule {
        policy: policy.clone(),
        program,
    }
}
