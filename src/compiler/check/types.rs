//! Constraints of declared types that no value can satisfy because they are not constraints.

use mxcp_base::{SourceFile, codes};
use mxcp_syntax::yaml::{self, Node, schema};

use crate::Db;
use crate::documents::parse_yaml;
use crate::finding::{Anchor, Finding};
use crate::lower::endpoint::EndpointDef;

pub(super) fn check_types(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    findings: &mut Vec<Finding>,
) {
    let tree = parse_yaml(db, file);
    let parameters = def
        .parameters
        .iter()
        .map(|p| def.pointer(&format!("parameters/{}", p.index)));
    let returns = def.has_return.then(|| def.pointer(def.return_key));
    for pointer in parameters.chain(returns) {
        if let Some(node) = tree.lookup(&pointer) {
            check_type(file, node, &pointer, findings);
        }
    }
}

fn check_type(file: SourceFile, node: Node<'_>, pointer: &str, findings: &mut Vec<Finding>) {
    let below = |key: &str| yaml::join_pointer(pointer, key);
    if let Some(pattern) = node.get("pattern").and_then(|n| n.as_str())
        && !schema::is_pattern(pattern)
    {
        findings.push(
            Finding::new(
                codes::MX0108,
                format!("`{pattern}` is not a regular expression"),
                Anchor::value(file, below("pattern")),
            )
            .help("close every bracket and parenthesis, and put `\\` before signs that stand for themselves"),
        );
    }
    let step = node.get("multipleOf").and_then(|n| {
        n.as_f64()
            .or_else(|| n.as_str().and_then(|text| text.trim().parse().ok()))
    });
    if step.is_some_and(|step| step <= 0.0) {
        findings.push(
            Finding::new(
                codes::MX0108,
                "`multipleOf` must be greater than 0",
                Anchor::value(file, below("multipleOf")),
            )
            .help("give the step between allowed values, or remove the key"),
        );
    }
    if let Some(items) = node.get("items") {
        check_type(file, items, &below("items"), findings);
    }
    let properties = node.get("properties").into_iter();
    for (key, property) in properties.flat_map(|n| n.entries()) {
        let pointer = yaml::join_pointer(&below("properties"), key.text);
        check_type(file, property, &pointer, findings);
    }
}
