//! Evaluating conditions on what a call brings. Every error of a condition denies, with a reason that
//! says nothing about data.
//!
//! Names: the parameters by their own names (converted, with defaults), `user`, and for output
//! policies `response`. `user` and `response` win over parameters of the same name.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::objects::{Key, Map as CelMap};
use cel::{Context, ExecutionError, Value as Cel};
use mxcp_artifact::{Action, Parameter, TypeDef, TypeKind};
use serde_json::{Map, Value};

use super::apply;
use super::compile::{ENV, PolicySet, Rule};
use crate::call::{Decision, Phase, User, Verdict};

/// What a denial says when its policy gives no reason, or fails.
const INPUT_REASON: &str = "Access denied by policy";
const OUTPUT_REASON: &str = "Output blocked by policy";

/// A denial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) phase: Phase,
    pub(crate) reason: String,
}

/// What conditions see of one call, converted once.
pub(crate) struct Facts {
    user: Cel,
    parameters: Vec<(String, Cel)>,
    lenient: bool,
}

impl Facts {
    pub(crate) fn new<'a>(
        user: Option<&User>,
        parameters: &Map<String, Value>,
        declared: impl Fn(&str) -> Option<&'a Parameter>,
        lenient: bool,
    ) -> Self {
        let user = user.map_or_else(User::anonymous_policy_value, User::to_policy_value);
        Self {
            user: to_cel(&Value::Object(user), None),
            parameters: parameters
                .iter()
                .map(|(name, value)| {
                    let ty = declared(name).map(|p| &p.ty);
                    (name.clone(), to_cel(value, ty))
                })
                .collect(),
            lenient,
        }
    }

    fn context(&self, response: Option<&Cel>) -> Context<'static, 'static> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        for (name, value) in &self.parameters {
            context.add_variable_from_value(name.clone(), value.clone());
        }
        context.add_variable_from_value("user", self.user.clone());
        if let Some(response) = response {
            context.add_variable_from_value("response", response.clone());
        }
        context
    }
}

impl PolicySet {
    /// Evaluates the input policies in order. Only `deny` acts on input; the first one ends it.
    pub(crate) fn check_input(
        &self,
        facts: &Facts,
        decision: &mut Decision,
    ) -> Result<(), Refusal> {
        if self.input.is_empty() {
            return Ok(());
        }
        let context = facts.context(None);
        for (index, rule) in self.input.iter().enumerate() {
            let label = format!("input[{index}]");
            decision
                .evaluated
                .push(format!("{label}: {}", rule.policy.condition));
            let applies = holds(rule, &context, &label, facts.lenient, decision);
            if applies.is_none_or(|applies| applies && rule.policy.action == Action::Deny) {
                return Err(refuse(Phase::Input, rule, applies, decision));
            }
        }
        Ok(())
    }

    /// Evaluates the output policies on the result as it was, and applies their changes in order.
    pub(crate) fn apply_output(
        &self,
        facts: &Facts,
        mut response: Value,
        returns: Option<&TypeDef>,
        decision: &mut Decision,
    ) -> Result<Value, Refusal> {
        if self.output.is_empty() {
            return Ok(response);
        }
        let original = to_cel(&response, returns);
        let context = facts.context(Some(&original));
        for (index, rule) in self.output.iter().enumerate() {
            let label = format!("output[{index}]");
            decision
                .evaluated
                .push(format!("{label}: {}", rule.policy.condition));
            match holds(rule, &context, &label, facts.lenient, decision) {
                Some(false) => continue,
                Some(true) if rule.policy.action != Action::Deny => {}
                applies => return Err(refuse(Phase::Output, rule, applies, decision)),
            }
            let action = rule.policy.action;
            let changed = match action {
                Action::Deny => false,
                Action::FilterFields => apply::filter(&mut response, &rule.policy.fields),
                Action::MaskFields => apply::mask(&mut response, &rule.policy.fields),
                Action::FilterSensitiveFields => match returns {
                    Some(returns) => apply::filter_sensitive(&mut response, returns),
                    // Nothing says what is sensitive, so nothing is known not to be.
                    None => return Err(refuse(Phase::Output, rule, None, decision)),
                },
            };
            if changed {
                decision.verdict = Verdict::Warn;
                decision.reason = Some(format!("Output modified by {}", action.as_str()));
            }
        }
        Ok(response)
    }
}

fn refuse(phase: Phase, rule: &Rule, applies: Option<bool>, decision: &mut Decision) -> Refusal {
    let default = match phase {
        Phase::Input => INPUT_REASON,
        Phase::Output => OUTPUT_REASON,
    };
    // A condition that failed says nothing about why access should be denied.
    let reason = match (&rule.policy.reason, applies) {
        (Some(reason), Some(_)) => reason.clone(),
        _ => default.to_owned(),
    };
    decision.verdict = Verdict::Deny;
    decision.reason = Some(reason.clone());
    Refusal { phase, reason }
}

/// Whether the condition holds; `None` when it cannot be evaluated.
fn holds(
    rule: &Rule,
    context: &Context<'_, '_>,
    label: &str,
    lenient: bool,
    decision: &mut Decision,
) -> Option<bool> {
    let condition = rule.policy.condition.as_str();
    let Some(program) = &rule.program else {
        decision.notes.push(format!(
            "{label}: the condition `{condition}` does not compile"
        ));
        return None;
    };
    let failure = match catch_unwind(AssertUnwindSafe(|| program.execute(context))) {
        Ok(Ok(value)) => return Some(truthy(&value)),
        Ok(Err(error)) => error,
        Err(_) => ExecutionError::InternalError(String::new()),
    };
    let what = describe(&failure);
    if lenient && needs_a_caller(condition, &failure) {
        decision.notes.push(format!(
            "{label}: `{condition}` was not applied: {what}; give it under `user_context`"
        ));
        return Some(false);
    }
    tracing::warn!(
        condition,
        problem = what,
        "a policy condition failed; the call is denied"
    );
    decision.notes.push(format!(
        "{label}: `{condition}` cannot be evaluated: {what}"
    ));
    None
}

/// Whether a condition failed for want of something about the user: a field that is missing, or one that
/// is null for nobody in particular.
fn needs_a_caller(condition: &str, failure: &ExecutionError) -> bool {
    match failure {
        ExecutionError::NoSuchKey(name) => mentions(condition, name),
        ExecutionError::UndeclaredReference(_) | ExecutionError::InternalError(_) => false,
        _ => User::anonymous_policy_value()
            .iter()
            .any(|(field, value)| value.is_null() && mentions(condition, field)),
    }
}

/// Whether the text reads this field of `user`, as `user.field` or `user["field"]`.
fn mentions(condition: &str, field: &str) -> bool {
    condition.match_indices("user").any(|(at, _)| {
        let rest = condition.get(at + 4..).unwrap_or_default().trim_start();
        let name = match rest.strip_prefix('.') {
            Some(name) => name.trim_start(),
            None => rest.trim_start_matches(['[', ' ', '"', '\'']),
        };
        rest.starts_with(['.', '['])
            && name
                .strip_prefix(field)
                .is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

// Names only: the error itself holds values.
fn describe(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("there is no `{name}`"),
        ExecutionError::UndeclaredReference(name) => format!("the name `{name}` is not known"),
        ExecutionError::NoSuchOverload(overload) => format!(
            "`{}` does not apply to {}",
            overload.function(),
            overload.argument_types().join(" and ")
        ),
        ExecutionError::ValuesNotComparable(left, right) => format!(
            "{} and {} cannot be compared",
            left.type_of(),
            right.type_of()
        ),
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => format!(
            "`{operator}` does not apply to {} and {}",
            left.type_of(),
            right.type_of()
        ),
        ExecutionError::UnexpectedType { got, want } => format!("expected {want}, got {got}"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".into()
        }
        ExecutionError::IndexOutOfBounds(_) => "the index is out of bounds".into(),
        ExecutionError::Overflow(..) => "the number is too large".into(),
        ExecutionError::FunctionError { function, .. } => format!("`{function}` failed"),
        _ => "its operands have the wrong types".into(),
    }
}

fn truthy(value: &Cel) -> bool {
    match value {
        Cel::Bool(value) => *value,
        Cel::Null => false,
        Cel::Int(value) => *value != 0,
        Cel::UInt(value) => *value != 0,
        Cel::Float(value) => *value != 0.0,
        Cel::String(text) => !text.is_empty(),
        Cel::Bytes(bytes) => !bytes.is_empty(),
        Cel::List(items) => !items.is_empty(),
        Cel::Map(map) => !map.map.is_empty(),
        _ => true,
    }
}

/// JSON as CEL. Where `number` is declared, also a whole number is a double, so that arithmetic with
/// it does not depend on the value.
fn to_cel(value: &Value, ty: Option<&TypeDef>) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => {
            let declared_number = ty.is_some_and(|ty| ty.kind == TypeKind::Number);
            match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(value), _, _) if !declared_number => Cel::Int(value),
                (None, Some(value), _) if !declared_number => Cel::UInt(value),
                (_, _, Some(value)) => Cel::Float(value),
                _ => Cel::Null,
            }
        }
        Value::String(text) => Cel::from(text.as_str()),
        Value::Array(items) => {
            let item = ty.and_then(|ty| ty.items.as_deref());
            Cel::List(Arc::new(items.iter().map(|v| to_cel(v, item)).collect()))
        }
        Value::Object(fields) => {
            let map: HashMap<Key, Cel> = fields
                .iter()
                .map(|(name, value)| {
                    let ty = ty.and_then(|ty| ty.property(name));
                    (Key::from(name.as_str()), to_cel(value, ty))
                })
                .collect();
            Cel::Map(CelMap { map: Arc::new(map) })
        }
    }
}

#[cfg(test)]
mod tests {
    use mxcp_artifact::{Policies, Policy};
    use serde_json::json;

    use super::*;

    fn policy(condition: &str, action: Action, fields: &[&str]) -> Policy {
        Policy {
            condition: condition.into(),
            action,
            reason: Some("because".into()),
            fields: fields.iter().map(|f| (*f).to_owned()).collect(),
        }
    }

    fn input(condition: &str, user: Value, parameters: Value) -> Result<(), String> {
        let set = PolicySet::new(&Policies {
            input: vec![policy(condition, Action::Deny, &[])],
            output: Vec::new(),
        });
        let user = user.as_object().map(User::from_test_context);
        let parameters = parameters.as_object().cloned().unwrap_or_default();
        let facts = Facts::new(user.as_ref(), &parameters, |_| None, false);
        set.check_input(&facts, &mut Decision::default())
            .map_err(|refusal| refusal.reason)
    }

    fn output(
        policies: Vec<Policy>,
        response: Value,
        returns: Option<Value>,
    ) -> Result<Value, String> {
        let set = PolicySet::new(&Policies {
            input: Vec::new(),
            output: policies,
        });
        let returns: Option<TypeDef> = returns.map(|ty| serde_json::from_value(ty).unwrap());
        let facts = Facts::new(None, &Map::new(), |_| None, false);
        set.apply_output(&facts, response, returns.as_ref(), &mut Decision::default())
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn conditions_see_profile_fields_and_parameters() {
        let condition = "user.role != 'admin' && customer_id != user.customer_id";
        let parameters = json!({"customer_id": "c1"});
        let call = |user: Value| input(condition, user, parameters.clone());
        assert_eq!(call(json!({"role": "admin"})), Ok(()));
        assert_eq!(call(json!({"customer_id": "c1"})), Ok(()));
        assert_eq!(call(json!({"customer_id": "c2"})), Err("because".into()));
    }

    #[test]
    fn errors_deny_with_a_generic_reason() {
        for condition in [
            "user.department != 'hr'",
            "amount > 'x'",
            "nothing == 1",
            "amount >",
            "amount + 'x' == 'y'",
        ] {
            assert_eq!(
                input(condition, Value::Null, json!({"amount": 5})),
                Err(INPUT_REASON.into()),
                "{condition}"
            );
        }
    }

    #[test]
    fn numbers_compare_by_value() {
        for condition in ["n > 4.5", "n == 5.0", "f < 3", "f != 2", "n in [5.0]"] {
            assert_eq!(
                input(condition, Value::Null, json!({"n": 5, "f": 2.5})),
                Err("because".into()),
                "{condition}"
            );
        }
        assert_eq!(
            input("user.user_id == null", Value::Null, json!({})),
            Err("because".into())
        );
    }

    #[test]
    fn an_unspecified_caller_is_told_what_is_missing() {
        let set = PolicySet::new(&Policies {
            input: vec![policy("user.team != 'a'", Action::Deny, &[])],
            output: Vec::new(),
        });
        let facts = Facts::new(None, &Map::new(), |_| None, true);
        let mut decision = Decision::default();
        assert_eq!(set.check_input(&facts, &mut decision), Ok(()));
        assert_eq!(
            decision.notes,
            [
                "input[0]: `user.team != 'a'` was not applied: there is no `team`; give it under `user_context`"
            ]
        );
    }

    #[test]
    fn only_what_is_missing_of_the_caller_is_overlooked() {
        let skipped = |condition: &str| {
            let set = PolicySet::new(&Policies {
                input: vec![policy(condition, Action::Deny, &[])],
                output: Vec::new(),
            });
            let parameters = json!({"filter": {}});
            let facts = Facts::new(None, parameters.as_object().unwrap(), |_| None, true);
            set.check_input(&facts, &mut Decision::default()).is_ok()
        };
        assert!(skipped("user['team'] != 'a'"));
        assert!(skipped("user.org.name != 'a'"));
        assert!(skipped("!user.email.endsWith('@acme.example')"));
        assert!(!skipped("filter.team != 'a'"));
        assert!(!skipped("filter.team != user.role"));
        assert!(!skipped("user.role > 5"));
        assert!(!skipped("user.user_id == null"));
        assert!(!skipped("nobody == 1"));
    }

    #[test]
    fn changes_accumulate_and_see_the_original() {
        let policies = vec![
            policy("response.a == 1", Action::FilterFields, &["a"]),
            policy("response.a == 1", Action::MaskFields, &["b"]),
        ];
        assert_eq!(
            output(policies, json!({"a": 1, "b": 2, "c": 3}), None),
            Ok(json!({"b": "****", "c": 3}))
        );
    }

    #[test]
    fn sensitive_fields_need_a_declared_type() {
        let policies = || vec![policy("true", Action::FilterSensitiveFields, &[])];
        let returns = json!({"type": "object", "properties": [
            {"name": "pay", "type": {"type": "number", "sensitive": true}}
        ]});
        assert_eq!(
            output(policies(), json!({"pay": 1, "x": 2}), Some(returns)),
            Ok(json!({"x": 2}))
        );
        assert_eq!(
            output(policies(), json!({"pay": 1}), None),
            Err(OUTPUT_REASON.into())
        );
    }
}
