//! Completion and signature help.

use gen_lsp_types as lsp;
use mxcp_ide::complete::{self, Item, ItemKind};
use mxcp_ide::signature;

use super::spot;
use crate::dispatch::Result_;
use crate::position::Positions;
use crate::snapshot::Snapshot;

/// More are narrowed down by typing on.
const MOST: usize = 400;

fn markdown(text: String) -> lsp::Documentation {
    lsp::Documentation::MarkupContent(lsp::MarkupContent {
        kind: lsp::MarkupKind::Markdown,
        value: text,
    })
}

fn kind(kind: ItemKind) -> lsp::CompletionItemKind {
    match kind {
        ItemKind::Key => lsp::CompletionItemKind::Property,
        ItemKind::Value => lsp::CompletionItemKind::EnumMember,
        ItemKind::Column => lsp::CompletionItemKind::Field,
        ItemKind::Table => lsp::CompletionItemKind::Struct,
        ItemKind::Model => lsp::CompletionItemKind::Class,
        ItemKind::Source => lsp::CompletionItemKind::Interface,
        ItemKind::Function => lsp::CompletionItemKind::Function,
        ItemKind::Parameter | ItemKind::Variable => lsp::CompletionItemKind::Variable,
        ItemKind::Keyword => lsp::CompletionItemKind::Keyword,
        ItemKind::Filter | ItemKind::Macro => lsp::CompletionItemKind::Method,
        ItemKind::Tool => lsp::CompletionItemKind::Event,
        ItemKind::File => lsp::CompletionItemKind::File,
    }
}

fn item(positions: &Positions<'_>, item: Item) -> lsp::CompletionItem {
    lsp::CompletionItem {
        kind: Some(kind(item.kind)),
        detail: item.detail,
        documentation: item.docs.map(markdown),
        sort_text: Some(format!("{}{}", item.rank, item.label)),
        filter_text: Some(item.label.clone()),
        insert_text_format: Some(lsp::InsertTextFormat::PlainText),
        text_edit: Some(lsp::CompletionItemTextEdit::TextEdit(lsp::TextEdit {
            range: positions.range(item.replace),
            new_text: item.insert,
        })),
        label: item.label,
        ..Default::default()
    }
}

pub(crate) fn completion(
    snapshot: &Snapshot,
    params: lsp::CompletionParams,
) -> Result_<Option<lsp::CompletionResponse>> {
    let Some(at) = spot(snapshot, &params.text_document_position_params) else {
        return Ok(None);
    };
    let mut found = at.ask(complete::complete)?;
    let Some(positions) = at.view.positions(&at.path) else {
        return Ok(None);
    };
    found.sort_by(|a, b| (a.rank, &a.label).cmp(&(b.rank, &b.label)));
    let more = found.len() > MOST;
    found.truncate(MOST);
    Ok(Some(lsp::CompletionResponse::CompletionList(
        lsp::CompletionList {
            is_incomplete: more,
            items: found.into_iter().map(|i| item(&positions, i)).collect(),
            ..Default::default()
        },
    )))
}

pub(crate) fn signature_help(
    snapshot: &Snapshot,
    params: lsp::SignatureHelpParams,
) -> Result_<Option<lsp::SignatureHelp>> {
    let Some(at) = spot(snapshot, &params.text_document_position_params) else {
        return Ok(None);
    };
    let found = at.ask(signature::signatures)?;
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let encoding = at.view.encoding;
    Ok(found.map(|found| lsp::SignatureHelp {
        signatures: found
            .forms
            .iter()
            .map(|form| {
                let at = |n: usize| encoding.len(form.label.get(..n).unwrap_or(&form.label));
                lsp::SignatureInformation {
                    label: form.label.clone(),
                    documentation: form.docs.clone().map(markdown),
                    parameters: Some(
                        form.parameters
                            .iter()
                            .map(|(start, end)| lsp::ParameterInformation {
                                label: lsp::ParameterInformationLabel::Tuple((
                                    at(*start),
                                    at(*end),
                                )),
                                documentation: None,
                            })
                            .collect(),
                    ),
                    active_parameter: None,
                }
            })
            .collect(),
        active_signature: Some(small(found.active)),
        active_parameter: Some(lsp::ActiveParameter::Int(small(found.parameter))),
    }))
}
