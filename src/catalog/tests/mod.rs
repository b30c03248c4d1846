//! The crate against the real engine.

mod analyzing;
mod binding;
mod errors;
mod files;

use std::sync::LazyLock;

use mxcp_artifact::{CatalogSnapshot, Relation, SqlType};

use crate::{
    BindOutcome, BindRequest, Binder, DuckDbBinder, FunctionStub, SqlError, snapshot_from_ddl,
};

static BINDER: LazyLock<DuckDbBinder> = LazyLock::new(DuckDbBinder::new);

static SHOP: LazyLock<CatalogSnapshot> = LazyLock::new(|| {
    snapshot_from_ddl(
        "CREATE TABLE orders(order_id BIGINT NOT NULL, customer_id INTEGER, total DECIMAL(10,2), placed DATE,
             tags VARCHAR[], address STRUCT(city VARCHAR, geo STRUCT(lat DOUBLE)));
         CREATE TABLE customers(customer_id INTEGER, name VARCHAR, note JSON, level ENUM('low', 'high'));
         CREATE VIEW open_orders AS SELECT order_id, placed FROM orders;
         CREATE SCHEMA mart;
         CREATE TABLE mart.sales(day DATE, amount DOUBLE);",
    )
    .unwrap()
});

fn request(sql: &str) -> BindRequest {
    BindRequest {
        sql: sql.to_owned(),
        parameters: Vec::new(),
        relations: SHOP.relations.clone(),
        functions: Vec::new(),
    }
}

fn with_parameters(sql: &str, parameters: &[(&str, &str)]) -> BindRequest {
    let typed = |(name, ty): &(&str, &str)| ((*name).to_owned(), SqlType::parse(ty));
    BindRequest {
        parameters: parameters.iter().map(typed).collect(),
        ..request(sql)
    }
}

/// `name TYPE, …` of a request that must bind.
#[track_caller]
fn columns_of(request: &BindRequest) -> String {
    match BINDER.bind(request) {
        BindOutcome::Bound { columns } => {
            let texts: Vec<String> = columns
                .iter()
                .map(|c| format!("{} {}", c.name, c.ty))
                .collect();
            texts.join(", ")
        }
        other => panic!("{}\n{other:#?}", request.sql),
    }
}

#[track_caller]
fn columns(sql: &str) -> String {
    columns_of(&request(sql))
}

#[track_caller]
fn errors_of(request: &BindRequest) -> Vec<SqlError> {
    match BINDER.bind(request) {
        BindOutcome::Failed(errors) => errors,
        other => panic!("{}\n{other:#?}", request.sql),
    }
}

#[track_caller]
fn reason_of(request: &BindRequest) -> String {
    match BINDER.bind(request) {
        BindOutcome::Opaque { reason } => reason,
        other => panic!("{}\n{other:#?}", request.sql),
    }
}

/// The text an error points at.
fn at<'a>(sql: &'a str, error: &SqlError) -> &'a str {
    let range = error.range.clone().unwrap_or(0..0);
    &sql[range.start as usize..range.end as usize]
}

fn only(names: &[&str]) -> Vec<Relation> {
    let all = SHOP.relations.iter();
    all.filter(|r| names.contains(&r.name.name.as_str()))
        .cloned()
        .collect()
}

fn stub(name: &str, parameters: &[&str], returns: &str) -> FunctionStub {
    FunctionStub {
        name: name.to_owned(),
        parameters: parameters.iter().map(|p| SqlType::parse(p)).collect(),
        returns: SqlType::parse(returns),
    }
}
