//! The policies of one endpoint, compiled. A condition that does not compile is kept as what it is:
//! one that denies every call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::types::{CelBool, DYN_TYPE, LIST_TYPE, MAP_TYPE};
use cel::common::value::CowVal;
use cel::{Env, ExecutionError, Program};
use mxcp_artifact::{Policies, Policy};

/// What the specification has, without optional values, and `contains` of lists and maps: conditions of
/// existing projects ask `user.permissions.contains("read")`.
pub(super) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    for (id, receiver) in [("list_contains", LIST_TYPE), ("map_contains", MAP_TYPE)] {
        if let Err(error) = env.add_member_overload("contains", id, receiver, vec![DYN_TYPE], holds)
        {
            tracing::error!("`contains` of lists and maps is missing: {error}");
        }
    }
    Arc::new(env)
});

fn holds<'b, 'v>(mut arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (Some(wanted), Some(held)) = (arguments.pop(), arguments.pop()) else {
        return Err(ExecutionError::function_error(
            "contains",
            "two values are needed",
        ));
    };
    let found = match held.as_container() {
        Some(container) => container.contains(&*wanted)?,
        None => false,
    };
    Ok(CowVal::owned(CelBool::from(found)))
}

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
