//! Queries asked on several threads before they are needed: the answers wait in the graph for who
//! asks in order. What is asked here, and when, changes time and never an answer.

use std::sync::atomic::{AtomicUsize, Ordering};

use mxcp_base::{FileSet, SourceFile};

use super::data_tests::{node_tests, singular_test};
use super::graph::node;
use super::index::ref_index;
use super::node::{is_enabled, render_model};
use crate::Db;
use crate::db::CompilerDatabase;
use crate::documents::{DocumentKind, document_kind};

/// Fewer files are read before another thread has begun.
const WORTH_A_THREAD: usize = 40;
/// Files are taken in shares, so that threads seldom meet.
const SHARE: usize = 8;
/// Address space, not memory: queries call each other as deep as models build on each other.
const STACK: usize = 1 << 30;

/// Reads and compiles the nodes of the dbt layer.
pub fn read_ahead(db: &CompilerDatabase) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let nodes: Vec<SourceFile> = FileSet::get(db)
        .files(db)
        .values()
        .copied()
        .filter(|file| {
            matches!(
                document_kind(db, *file),
                DocumentKind::DbtModel
                    | DocumentKind::DbtSeed
                    | DocumentKind::DbtTest
                    | DocumentKind::DbtAnalysis
            )
        })
        .collect();
    if threads < 2 || nodes.len() < WORTH_A_THREAD {
        return;
    }
    // Each of these needs what the one before it finds out about other nodes, and a thread that asks
    // for what another one is about to find out has to wait for it.
    let stages: [fn(&dyn Db, SourceFile); 3] = [
        |db, file| {
            is_enabled(db, file);
        },
        rendered,
        |db, file| {
            if is_enabled(db, file) && document_kind(db, file) != DocumentKind::DbtTest {
                node(db, file);
            }
        },
    ];
    for (i, stage) in stages.into_iter().enumerate() {
        if i == 1 {
            ref_index(db);
        }
        on_all(db, threads, &nodes, stage);
    }
}

fn rendered(db: &dyn Db, file: SourceFile) {
    if !is_enabled(db, file) {
        return;
    }
    match document_kind(db, file) {
        DocumentKind::DbtTest => {
            singular_test(db, file);
        }
        DocumentKind::DbtSeed => {
            node_tests(db, file);
        }
        DocumentKind::DbtModel => {
            render_model(db, file);
            node_tests(db, file);
        }
        _ => {
            render_model(db, file);
        }
    }
}

fn on_all(
    db: &CompilerDatabase,
    threads: usize,
    files: &[SourceFile],
    ask: fn(&dyn Db, SourceFile),
) {
    let next = AtomicUsize::new(0);
    let work = |db: &CompilerDatabase| {
        loop {
            let start = next.fetch_add(SHARE, Ordering::Relaxed);
            let Some(rest) = files.get(start..).filter(|rest| !rest.is_empty()) else {
                return;
            };
            rest.iter().take(SHARE).for_each(|file| ask(db, *file));
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .filter_map(|_| {
                let db = db.clone();
                std::thread::Builder::new()
                    .stack_size(STACK)
                    .spawn_scoped(scope, move || work(&db))
                    .ok()
            })
            .collect();
        work(db);
        for other in others {
            // What made it panic is met again by who needs the answer.
            let _ = other.join();
        }
    });
}
