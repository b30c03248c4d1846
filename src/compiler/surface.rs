//! What files may ask about the project as a whole: which names lead where, which marks there are.
//!
//! Each of these facts is collected by a query over all files, and read by checks of every file. Asked
//! directly, an edit of one file would make every check of every other file walk down to the texts
//! again, only to find that nothing changed. So a database that is edited keeps them *settled*: after
//! each change they are collected once and put into an input of their own, if they are different.
//! A check of an untouched file then depends on nothing that an edit of a body touches.
//!
//! A database that is never edited leaves the input empty and asks the queries; the answers are equal.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use mxcp_artifact::{Column, RelationName};
use mxcp_base::SourceFile;
use salsa::{Durability, Setter as _};

use crate::Db;
use crate::db::CompilerDatabase;
use crate::dbt::Resource;
use crate::index::EndpointIndex;
use crate::lineage::Sensitive;
use crate::models::index::DbtProject;
use crate::models::packages::Package;
use crate::models::snapshots::Snapshot;
use crate::plugins::Plugins;
use crate::site::{Severities, Site};
use crate::startup::Made;

macro_rules! surface {
    ($(
        $(#[$doc:meta])*
        $name:ident, $set:ident: $ty:ty = $collect:path;
    )*) => {
        /// The settled facts; nothing where they are not kept settled.
        #[salsa::input(singleton)]
        pub(crate) struct Surface {
            $(
                #[returns(as_ref)]
                $name: Option<Arc<$ty>>,
            )*
        }

        $(
            $(#[$doc])*
            pub(crate) fn $name(db: &dyn Db) -> &$ty {
                match Surface::get(db).$name(db) {
                    Some(settled) => settled,
                    None => $collect(db),
                }
            }
        )*

        /// The facts as they were last collected, to know without comparing that one is the same.
        #[derive(Clone, Default)]
        pub(crate) struct Collected {
            $($name: Option<Arc<$ty>>,)*
        }

        mod shared {
            use super::*;

            $(
                // Runs only when what it wraps is different: its identity tells.
                #[salsa::tracked(returns(clone), no_eq)]
                pub(super) fn $name(db: &dyn Db) -> Arc<$ty> {
                    Arc::new($collect(db).clone())
                }
            )*
        }

        /// An empty surface.
        pub(crate) fn prepare(db: &CompilerDatabase) {
            let _ = Surface::builder($({ let none: Option<Arc<$ty>> = None; none }),*)
                .durability(Durability::HIGH)
                .new(db);
        }

        /// Leaves every question to the queries again.
        pub(crate) fn clear(db: &mut CompilerDatabase) {
            let surface = Surface::get(db);
            $(
                surface.$set(db).with_durability(Durability::HIGH).to(None);
            )*
        }

        /// Collects every fact once, and keeps those that are different. Facts are collected from
        /// other facts: whether another round is needed is returned.
        pub(crate) fn settle_once(db: &mut CompilerDatabase, last: &mut Collected) -> bool {
            let mut changed = false;
            $(
                let now = shared::$name(db);
                if !last.$name.as_ref().is_some_and(|last| Arc::ptr_eq(last, &now)) {
                    let surface = Surface::get(db);
                    if surface.$name(db).is_none_or(|settled| **settled != *now) {
                        surface.$set(db).with_durability(Durability::HIGH).to(Some(now.clone()));
                        changed = true;
                    }
                    last.$name = Some(now);
                }
            )*
            changed
        }
    };
}

// In the order of their dependencies: one round is enough for most edits.
surface! {
    settled_site, set_settled_site: Option<Site> = crate::documents::collect_site;
    /// The severities of `diagnostics:`: every finding asks for them, and for nothing else of the site.
    severities, set_severities: Severities = crate::documents::collect_severities;
    settled_dbt_project, set_settled_dbt_project: Option<DbtProject>
        = crate::models::index::collect_dbt_project;
    /// The packages below the folder where dbt installs them, and local ones of `packages.yml`.
    installed, set_installed: Vec<Package> = crate::models::packages::collect_installed;
    /// The names of packages that are not here, as far as the project's files tell; `None` when all are.
    packages, set_packages: Option<Vec<String>> = crate::models::packages::collect_packages;
    /// Every name under which `ref` finds a version, and the names its file may have, the likeliest first.
    version_names, set_version_names: BTreeMap<String, Vec<String>>
        = crate::models::versions::collect_version_names;
    /// The model and the version that a file of this name (without its extension) holds.
    versioned_files, set_versioned_files: BTreeMap<String, (String, String)>
        = crate::models::versions::collect_versioned_files;
    /// Which property files speak of which node of a package: names only, so that most edits stop here.
    property_index, set_property_index: BTreeMap<(String, Resource, String), Vec<SourceFile>>
        = crate::models::node::collect_property_index;
    /// Relations of declared sources: `(source, table)` to where it is.
    source_index, set_source_index: BTreeMap<(String, String), RelationName>
        = crate::models::index::collect_source_index;
    /// Unique ids of the tables of sources, and the texts that stand for those that are read from
    /// files or by a function.
    source_tables, set_source_tables: BTreeMap<(String, String), (String, Option<String>)>
        = crate::models::others::collect_source_tables;
    /// The marked columns of the tables of sources.
    source_marks, set_source_marks: BTreeMap<RelationName, Sensitive>
        = crate::models::marks::collect_source_marks;
    /// The tables of declared sources, in folded form. The columns of those with a type for every
    /// described column; that there are no others is not said.
    described_sources, set_described_sources: BTreeMap<RelationName, Option<Arc<[Column]>>>
        = crate::models::described::collect_described_sources;
    marks_are_there, set_marks_are_there: bool = crate::models::marks::collect_marks_exist;
    /// The files of Python models, by path.
    python_files, set_python_files: Vec<SourceFile>
        = crate::models::python_models::collect_python_files;
    /// Nodes that make a relation whose columns no text here tells: Python models, snapshots and
    /// versions of models, with their files.
    untyped_nodes, set_untyped_nodes: BTreeMap<String, String>
        = crate::models::index::collect_untyped_nodes;
    /// Enabled models and seeds by name: what `ref` can lead to. With two of a name the project's own
    /// wins over that of a package, then the first path.
    ref_index, set_ref_index: BTreeMap<String, SourceFile> = crate::models::index::collect_ref_index;
    /// Enabled models and seeds by package and name.
    package_index, set_package_index: BTreeMap<(String, String), SourceFile>
        = crate::models::index::collect_package_index;
    /// Folded relation names to the nodes that make them. An ephemeral model is found under the name
    /// of the common table expression it becomes.
    relation_index, set_relation_index: BTreeMap<RelationName, SourceFile>
        = crate::models::index::collect_relation_index;
    /// Relations of models that are not built, with the reason.
    unbuilt_models, set_unbuilt_models: BTreeMap<RelationName, (SourceFile, &'static str)>
        = crate::models::index::collect_unbuilt_models;
    /// The relations that the dbt layer makes, as users write them.
    made_relations, set_made_relations: Vec<String> = crate::models::index::collect_relation_names;
    /// All enabled snapshots by name.
    snapshots, set_snapshots: BTreeMap<String, Snapshot>
        = crate::models::snapshots::collect_snapshots;
    /// The members of loops between models.
    on_loops, set_on_loops: HashSet<SourceFile> = crate::models::cycles::collect_on_loops;
    /// What the Python files with a say before the first call may make.
    starting_files, set_starting_files: BTreeMap<String, Made>
        = crate::startup::collect_starting_files;
    /// The functions that plugins add to the database.
    read_plugins, set_read_plugins: Plugins = crate::plugins::collect_plugins;
    settled_endpoints, set_settled_endpoints: EndpointIndex = crate::index::collect_endpoints;
    /// What the endpoints of the project mark, by relation.
    return_marks, set_return_marks: BTreeMap<RelationName, Sensitive>
        = crate::lineage::collect_return_marks;
    /// Whether some code of the project makes keys by itself.
    indexes_elsewhere, set_indexes_elsewhere: bool
        = crate::column_facts::collect_indexes_elsewhere;
}
