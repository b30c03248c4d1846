//! Access policies as data. The condition stays CEL source text: it is checked by the compiler and
//! compiled again by the runtime when a manifest is loaded.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Deny,
    FilterFields,
    MaskFields,
    FilterSensitiveFields,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::FilterFields => "filter_fields",
            Self::MaskFields => "mask_fields",
            Self::FilterSensitiveFields => "filter_sensitive_fields",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "deny" => Self::Deny,
            "filter_fields" => Self::FilterFields,
            "mask_fields" => Self::MaskFields,
            "filter_sensitive_fields" => Self::FilterSensitiveFields,
            _ => return None,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Policy {
    /// CEL source.
    pub condition: String,
    pub action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Policies {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<Policy>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<Policy>,
}

impl Policies {
    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.output.is_empty()
    }
}
