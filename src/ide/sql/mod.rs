//! What the names in an SQL text stand for, read from its tokens.
//!
//! An editor asks while a text is half typed, so nothing here needs a text that parses: clauses are
//! told apart by their keywords and brackets, and a word that is no visible name is left alone.
//! What a text *means* is the engine's to say; this only finds places.

mod changes;
mod clauses;
mod expression;
mod from;
mod items;
pub mod keywords;
mod reader;

pub use reader::{
    Catalog, Column, Output, OutputForm, Resolved, Scope, Table, Target, Use, resolve,
};
