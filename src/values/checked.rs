//! One declared type, ready to take values: coercion, then the schema that clients see.

use mxcp_artifact::TypeDef;
use serde_json::Value;

use crate::coerce::{Spelling, coerce, without_nulls};
use crate::fault::Fault;
use crate::schema::Validator;

#[derive(Debug)]
pub struct Checked<'a> {
    ty: &'a TypeDef,
    validator: Validator,
}

impl<'a> Checked<'a> {
    pub fn new(ty: &'a TypeDef) -> Self {
        Self {
            ty,
            validator: Validator::input(ty),
        }
    }

    pub fn accept(&self, value: Value) -> Result<Value, Fault> {
        accept(self.ty, &self.validator, value)
    }
}

/// The coerced value, if it satisfies the schema: completed, or else as it was sent. So `2024-1-5`
/// passes a length of ten, a default of a property that its own type refuses is no default, and
/// whatever the schema accepts as it stands is accepted.
pub fn accept(ty: &TypeDef, validator: &Validator, value: Value) -> Result<Value, Fault> {
    let check = |spelling, value| {
        let value = coerce(ty, value, spelling)?;
        validator.check(&without_nulls(ty, &value)).map(|()| value)
    };
    check(Spelling::Canonical, value.clone()).or_else(|_| check(Spelling::AsSent, value))
}
