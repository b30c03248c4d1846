//! The typed IR and the manifest: plain data shared by the compiler, which writes it, and the
//! runtime, which serves it.
//!
//! This crate must not know salsa, DuckDB, MCP, Python or the file layout of a project. Everything
//! in it is serialisable, comparable and free of machine-dependent values: no absolute paths, no
//! times, no hash-ordered collections, no secret values.

pub mod catalog;
pub mod contract;
pub mod dbt;
pub mod dbt_live;
pub mod digest;
pub mod endpoint;
pub mod lock;
pub mod manifest;
pub mod policy;
pub mod schema_json;
pub mod sql_type;
pub mod type_def;

pub use catalog::{CatalogSnapshot, Column, Relation, RelationKind, RelationName};
pub use digest::Digest;
pub use endpoint::{
    Annotations, Body, Completion, Effects, Endpoint, EndpointKind, Parameter, PromptBody,
    PromptMessage, PythonBody, SqlBody, TestCase,
};
pub use lock::Lock;
pub use manifest::Manifest;
pub use policy::{Action, Policies, Policy};
pub use sql_type::SqlType;
pub use type_def::{Format, Property, TypeDef, TypeKind};
