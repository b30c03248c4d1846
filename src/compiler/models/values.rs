//! Whether a type exists, and whether a text can become a value of it. In doubt it can.

use mxcp_artifact::SqlType;
use mxcp_base::FileSet;

use crate::Db;
use crate::documents::site;
use crate::sql::{Bound, bind_text};

/// What the engine says against a type name, unless something may define it later.
pub(super) fn type_problem(db: &dyn Db, text: &str) -> Option<String> {
    if !is_doubtful(&SqlType::parse(text)) {
        return None;
    }
    let (bound, _) = bind_text(db, &format!("SELECT CAST(NULL AS {text}) AS c"), &[]);
    let message = match bound {
        Bound::Failed { errors, .. } => errors.into_iter().next()?.message,
        // The engine cannot know what the database defines; the files of the project tell.
        Bound::Opaque(reason) if reason.starts_with("the type") => {
            "DuckDB has none of this name".to_owned()
        }
        _ => return None,
    };
    let extended = site(db).is_some_and(|site| !site.extensions.is_empty());
    (!extended && !types_are_made(db)).then_some(message)
}

fn is_doubtful(ty: &SqlType) -> bool {
    use SqlType as T;
    match ty {
        T::Other(_) => true,
        T::Decimal(width, scale) => *width == 0 || *width > 38 || scale > width,
        T::List(item) | T::Array(item, _) => is_doubtful(item),
        T::Map(key, value) => is_doubtful(key) || is_doubtful(value),
        T::Struct(fields) | T::Union(fields) => fields.iter().any(|(_, ty)| is_doubtful(ty)),
        _ => false,
    }
}

// Asked only when a type is unknown, because it reads every file.
fn types_are_made(db: &dyn Db) -> bool {
    FileSet::get(db).files(db).values().any(|file| {
        let text = file.text(db).to_lowercase();
        text.contains("create type") || text.contains("create or replace type")
    })
}

/// Whether the engine may read a text as a value of a type.
pub(super) fn fits(text: &str, ty: &SqlType) -> bool {
    use SqlType as T;
    let text = text.trim();
    if text.is_empty() {
        return true;
    }
    match ty {
        T::TinyInt => whole(text, i128::from(i8::MIN), i128::from(i8::MAX)),
        T::SmallInt => whole(text, i128::from(i16::MIN), i128::from(i16::MAX)),
        T::Integer => whole(text, i128::from(i32::MIN), i128::from(i32::MAX)),
        T::BigInt => whole(text, i128::from(i64::MIN), i128::from(i64::MAX)),
        T::UTinyInt => whole(text, 0, i128::from(u8::MAX)),
        T::USmallInt => whole(text, 0, i128::from(u16::MAX)),
        T::UInteger => whole(text, 0, i128::from(u32::MAX)),
        T::UBigInt => whole(text, 0, i128::from(u64::MAX)),
        T::HugeInt | T::UHugeInt | T::Float | T::Double => number(text).is_some(),
        T::Decimal(width, scale) => number(text).is_some_and(|n| {
            let digits = i32::from(width.saturating_sub(*scale));
            n.is_nan() || n.abs() < 10_f64.powi(digits)
        }),
        T::Boolean => [
            "true", "false", "t", "f", "yes", "no", "y", "n", "on", "off", "1", "0",
        ]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word)),
        T::Date
        | T::Timestamp
        | T::TimestampS
        | T::TimestampMs
        | T::TimestampNs
        | T::TimestampTz => date(text),
        T::Time | T::TimeTz => text.contains(|c: char| c.is_ascii_digit()),
        T::Uuid => {
            let plain: String = text.chars().filter(|c| !"-{}".contains(*c)).collect();
            plain.len() == 32 && plain.chars().all(|c| c.is_ascii_hexdigit())
        }
        T::Enum(values) => values.iter().any(|value| value == text),
        _ => true,
    }
}

fn number(text: &str) -> Option<f64> {
    // `1_000` is a number to the engine.
    text.replace('_', "").parse().ok()
}

fn whole(text: &str, min: i128, max: i128) -> bool {
    match text.replace('_', "").parse::<i128>() {
        Ok(n) => (min..=max).contains(&n),
        // `1.5` and `1e3` are rounded; other notations are left to the engine.
        Err(_) => number(text).is_some() || text.starts_with("0x") || text.starts_with("0b"),
    }
}

// Formats are detected when a seed is loaded, so only what is a date in none is refused.
fn date(text: &str) -> bool {
    if !text.contains(|c: char| c.is_ascii_digit()) {
        return ["infinity", "-infinity", "epoch"].contains(&text.to_lowercase().as_str());
    }
    let day = text.split([' ', 'T']).next().unwrap_or(text);
    let mut parts = day.split('-').map(str::parse::<u32>);
    let (Some(Ok(_)), Some(Ok(month)), Some(Ok(last)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return true;
    };
    if day.find('-') != Some(4) {
        return true;
    }
    (1..=31).contains(&month) && (1..=31).contains(&last) && (month <= 12 || last <= 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_read_is_refused() {
        let fits = |text: &str, ty: &str| fits(text, &SqlType::parse(ty));
        for (text, ty) in [
            ("", "integer"),
            ("1.6", "integer"),
            ("-1e3", "bigint"),
            ("1_000", "integer"),
            ("9.999", "decimal(3,2)"),
            ("nan", "double"),
            ("31/12/2024", "date"),
            ("2024-31-12", "date"),
            ("2024-01-05 10:00", "timestamp"),
            ("YES", "boolean"),
            ("anything", "varchar"),
        ] {
            assert!(fits(text, ty), "{text} as {ty}");
        }
        for (text, ty) in [
            ("many", "integer"),
            ("null", "integer"),
            ("1,000", "integer"),
            ("300", "tinyint"),
            ("-1", "uinteger"),
            ("12.00", "decimal(3,2)"),
            ("soon", "date"),
            ("2024-13-45", "date"),
            ("maybe", "boolean"),
            ("c1", "uuid"),
        ] {
            assert!(!fits(text, ty), "{text} as {ty}");
        }
    }
}
