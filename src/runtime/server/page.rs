//! Pages of a list. A cursor is the position of the next item; clients must not read anything into it.

use rmcp::ErrorData;
use rmcp::model::PaginatedRequestParams;

/// Large enough that a list in several pages is the exception.
pub(super) const PAGE_SIZE: usize = 1000;

pub(super) fn page<T: Clone>(
    items: &[T],
    request: Option<&PaginatedRequestParams>,
    size: usize,
) -> Result<(Vec<T>, Option<String>), ErrorData> {
    let start = match request.and_then(|r| r.cursor.as_deref()) {
        None => 0,
        // Only the cursors that this list gave out.
        Some(cursor) => cursor
            .parse::<usize>()
            .ok()
            .filter(|start| *start > 0 && *start < items.len() && start % size == 0)
            .ok_or_else(|| {
                ErrorData::invalid_params(
                    "the cursor is not valid; start the list again without a cursor",
                    None,
                )
            })?,
    };
    let end = items.len().min(start + size);
    let next = (end < items.len()).then(|| end.to_string());
    Ok((items.get(start..end).unwrap_or_default().to_vec(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_the_list_once_and_foreign_cursors_are_refused() {
        let items: Vec<u8> = (0..5).collect();
        let mut request: Option<PaginatedRequestParams> = None;
        let mut seen = Vec::new();
        loop {
            let (some, next) = page(&items, request.as_ref(), 2).unwrap();
            seen.push(some);
            let Some(cursor) = next else { break };
            request = Some(PaginatedRequestParams::default().with_cursor(Some(cursor)));
        }
        assert_eq!(seen, [vec![0, 1], vec![2, 3], vec![4]]);
        for cursor in ["", "0", "1", "6", "-2", "x"] {
            let request = PaginatedRequestParams::default().with_cursor(Some(cursor.to_owned()));
            assert!(page(&items, Some(&request), 2).is_err(), "{cursor}");
        }
    }
}
