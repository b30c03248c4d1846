//! "Did you mean": the nearest candidate, when one is near enough to be meant.

/// The best candidate for a mistyped name, or `None` when nothing is close.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .filter(|c| *c != name)
        .map(|c| {
            let folded = c.to_lowercase();
            let contained = wanted.len() >= 4
                && folded.len() >= 4
                && (folded.contains(&wanted) || wanted.contains(&folded));
            let score = strsim::normalized_damerau_levenshtein(&wanted, &folded);
            (if contained { score.max(0.72) } else { score }, c)
        })
        .filter(|(score, _)| *score >= 0.6)
        // On a tie the first in alphabetical order wins, so that output does not depend on input order.
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, c)| c)
}

/// The help line for a nearest candidate.
pub fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(name, candidates).map(|c| format!("did you mean `{c}`?"))
}

/// The candidate that such a help line names.
pub fn meant(help: &str) -> Option<&str> {
    let (name, _) = help.strip_prefix("did you mean `")?.split_once("`?")?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::{did_you_mean, meant, nearest};

    #[test]
    fn what_was_meant_can_be_read_back() {
        let help = did_you_mean("amout", ["amount", "about_us"]);
        assert_eq!(help.as_deref().and_then(meant), Some("amount"));
        assert_eq!(meant("there are `a`, `b`"), None);
    }

    #[test]
    fn near_names_only() {
        assert_eq!(nearest("amout", ["amount", "about_us"]), Some("amount"));
        assert_eq!(nearest("zzz", ["amount"]), None);
        assert_eq!(
            nearest("customer", ["stg_customers", "orders"]),
            Some("stg_customers")
        );
    }
}
