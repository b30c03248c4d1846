//! Random values of random types, nested and NULL everywhere: what comes out as JSON is what the
//! generated value says, computed here without the reader's code.

mod compare;
mod scalars;
mod types;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use super::tests::Db;
use types::{any_type, values};

const CASES: u32 = 10_000;

#[test]
fn random_values_of_random_types_come_out_unchanged() {
    // Strategies of nested types call each other deeply.
    let check = std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(check);
    check.unwrap().join().unwrap();
}

fn check() {
    let db = RefCell::new(Db::new());
    let strategy = any_type().prop_flat_map(|ty| {
        let rows = prop::collection::vec(values(&ty), 1..5);
        (Just(ty), rows)
    });
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        rng_seed: RngSeed::Fixed(20_260_101),
        ..Config::default()
    });
    let outcome = runner.run(&strategy, |(ty, rows)| {
        let lines: Vec<String> = rows
            .iter()
            .map(|(literal, _)| format!("(CAST({literal} AS {}))", ty.sql()))
            .collect();
        // Without ORDER BY: DuckDB 2.0.0 crashes when it sorts a TUPLE that holds an ARRAY.
        let sql = format!("SELECT v FROM (VALUES {}) t(v)", lines.join(", "));
        let result = db.borrow().run(&sql, &[]);
        let result = result.map_err(|e| {
            // After an error of its own the engine refuses everything, and would spoil the search
            // for the smallest case.
            *db.borrow_mut() = Db::new();
            TestCaseError::fail(format!("{sql}\n{e}"))
        })?;
        for (i, (literal, wanted)) in rows.iter().enumerate() {
            let got = &result[i]["v"];
            prop_assert!(
                wanted.matches(got),
                "{literal} of type {}:\n  wanted {wanted:?}\n  got {got}",
                ty.sql()
            );
        }
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, _)) => panic!("{reason}"),
        Err(other) => panic!("{other}"),
    }
}
