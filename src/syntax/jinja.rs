//! Jinja text to what can be known without rendering it: calls, free variables, macros and dbt's blocks.
//!
//! Every branch is read, also those a rendering would not take. Nothing is evaluated: only literal arguments have a
//! value. Tags that only dbt has are read here and blanked out before the Jinja parser sees the text, so offsets stay.

use serde_json::Value as Json;
use text_size::TextRange;

use crate::{SyntaxError, SyntaxErrorKind, text_range};

mod machinery;
mod tags;

#[cfg(test)]
mod tests;

/// Larger templates are refused unread.
pub const MAX_BYTES: usize = 4 << 20;

/// What a template contains.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    pub errors: Vec<SyntaxError>,
    /// Whether there is any tag or expression: a text without them renders to itself.
    pub is_dynamic: bool,
    /// Calls by name, in source order, from every branch and macro.
    pub calls: Vec<Call>,
    /// Names that the template reads and does not set, once per place, in source order. Jinja's own functions
    /// (`range`, `dict`, `namespace`, …) are among them.
    pub undeclared: Vec<(String, TextRange)>,
    pub macros: Vec<Macro>,
    pub blocks: Vec<Block>,
    /// Filters by name (`x | upper`), with the range of the filtered expression.
    pub filters: Vec<(String, TextRange)>,
    /// Tests by name (`x is none`), with the range of the tested expression.
    pub tests: Vec<(String, TextRange)>,
    /// Attributes read of undeclared names (`name.attribute`, not a call), with the range of both.
    pub attributes: Vec<(String, String, TextRange)>,
}

/// A call of something that has a dotted name.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// `ref`, `dbt_utils.star`, `adapter.dispatch`.
    pub name: String,
    pub name_range: TextRange,
    pub args: Vec<Arg>,
    pub kwargs: Vec<(String, Arg)>,
    /// Whether `*args` or `**kwargs` are passed, so that there may be more arguments.
    pub has_splat: bool,
    /// From the name to the closing parenthesis.
    pub range: TextRange,
}

/// An argument; `value` is there when it is a literal.
#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    pub value: Option<Json>,
    pub range: TextRange,
}

impl Call {
    /// The positional argument `index`, when it is a string literal.
    #[must_use]
    pub fn str_arg(&self, index: usize) -> Option<&str> {
        self.args.get(index)?.value.as_ref()?.as_str()
    }

    #[must_use]
    pub fn kwarg(&self, name: &str) -> Option<&Arg> {
        self.kwargs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, arg)| arg)
    }
}

/// `{% macro name(params) %}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Macro {
    pub name: String,
    pub name_range: TextRange,
    pub params: Vec<MacroParam>,
    pub range: TextRange,
    pub body_range: TextRange,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MacroParam {
    pub name: String,
    pub range: TextRange,
    pub has_default: bool,
    /// The default when it is a literal.
    pub default: Option<Json>,
}

/// A block that dbt cuts out of a file by its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub kind: BlockKind,
    /// Empty for `raw`.
    pub name: String,
    pub name_range: TextRange,
    /// What follows the name in the opening tag, `(model, column_name)` or `, adapter='duckdb'`.
    pub args: String,
    pub args_range: TextRange,
    pub body_range: TextRange,
    /// From the opening tag to the end of the closing one.
    pub range: TextRange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockKind {
    Macro,
    Snapshot,
    /// `{% test %}` and `{% data_test %}`.
    Test,
    Materialization,
    Docs,
    Raw,
}

/// What is said of a template that ends inside a block: it stands at the tag that opens the block.
pub fn unclosed(text: &str) -> Option<SyntaxError> {
    let (tag, word) = tags::left_open(text)?;
    let error = SyntaxError::syntax(
        text_range(tag.start, tag.end),
        format!("the `{{% {word} %}}` block is not closed"),
    );
    Some(error.with_help(format!("add `{{% end{word} %}}`")))
}

/// The template as the Jinja parser takes it, every byte in its place: dbt's own block tags become comments, and the
/// colon that Python people put at the end of a block tag a blank. A renderer has to be given this text.
#[must_use]
pub fn for_parser(text: &str) -> String {
    tags::read(text).masked
}

/// Reads a template.
#[must_use]
pub fn scan(text: &str) -> Template {
    let mut template = Template::default();
    if text.len() > MAX_BYTES {
        template.errors.push(SyntaxError::new(
            SyntaxErrorKind::TooLarge,
            text_range(0, 0),
            format!("the template is larger than {} MiB", MAX_BYTES >> 20),
        ));
        return template;
    }
    let tags = tags::read(text);
    template.is_dynamic = tags.is_dynamic;
    template.errors = tags.errors;
    template.blocks = tags.blocks;
    if template.is_dynamic && template.errors.is_empty() {
        machinery::read(text, &tags.masked, &mut template);
    }
    template.errors.sort_by_key(|error| error.range.start());
    template
}
