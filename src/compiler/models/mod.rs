//! The dbt layer in the query graph: the pure front end of [`crate::dbt`] wrapped into queries.
//!
//! Files of packages are nodes like the project's own; nothing is reported of them.

mod ahead;
mod check;
mod compile;
pub(crate) mod cycles;
mod data_tests;
pub(crate) mod described;
mod disabled;
mod docs;
mod ecosystem;
pub(crate) mod editing;
mod graph;
mod hooks;
mod ignored;
pub(crate) mod index;
mod live;
pub(crate) mod marks;
pub(crate) mod node;
pub(crate) mod others;
pub(crate) mod packages;
mod places;
mod promises;
pub(crate) mod python_models;
mod readers;
mod schema;
mod seeds;
mod semantic;
mod snapshot_checks;
pub(crate) mod snapshots;
mod sources;
mod test_checks;
mod unit_nodes;
mod unit_tests;
mod unused;
mod values;
pub(crate) mod versions;

pub use ahead::read_ahead;
pub use check::{Depth, check_dbt_file};
pub use cycles::check_project;
pub(crate) use cycles::is_on_loop;
pub use data_tests::is_readable;
pub(crate) use described::described_sources;
pub use disabled::{Disabled, disabled};
pub use ecosystem::{Ecosystem, Heading, MacroEntry, ecosystem, heading, short_digest};
pub use graph::dbt_graph;
pub(crate) use ignored::IGNORE_FILE;
pub(crate) use index::unbuilt_model;
pub use index::{dbt_kind, model_for_relation, relation_names, untyped_node};
pub use live::LiveTemplates;
pub(crate) use marks::{column_marks, marks_exist, model_sql, source_marks, template_range};
pub(crate) use node::{node_config, node_properties, render_model};
pub use packages::in_package;
pub use schema::model_schema;
pub use snapshot_checks::check_snapshot_columns;
