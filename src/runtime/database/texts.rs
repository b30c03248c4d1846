//! Values whose text is computed from their bytes: UUID, BIT, BIGNUM.

pub(super) fn uuid_text(value: u128) -> String {
    let hex = format!("{value:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

// The first byte counts the padding bits that follow it.
pub(super) fn bit_text(bytes: &[u8]) -> String {
    let Some((padding, bytes)) = bytes.split_first() else {
        return String::new();
    };
    bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1))
        .skip(usize::from(*padding))
        .map(|bit| if bit == 1 { '1' } else { '0' })
        .collect()
}

// Three bytes of header, then the magnitude, big-endian; negative numbers have all bits inverted.
pub(super) fn bignum_text(bytes: &[u8]) -> String {
    let negative = bytes.first().is_some_and(|b| b & 0x80 == 0);
    let mut magnitude: Vec<u8> = bytes
        .iter()
        .skip(3)
        .map(|b| if negative { !b } else { *b })
        .collect();
    let mut groups = Vec::new();
    while magnitude.iter().any(|b| *b != 0) {
        let mut rest = 0u64;
        for byte in &mut magnitude {
            let value = (rest << 8) | u64::from(*byte);
            *byte = u8::try_from(value / 1_000_000_000).unwrap_or_default();
            rest = value % 1_000_000_000;
        }
        groups.push(rest);
    }
    let Some(first) = groups.pop() else {
        return "0".into();
    };
    let mut text = if negative {
        "-".to_owned()
    } else {
        String::new()
    };
    text.push_str(&first.to_string());
    for group in groups.iter().rev() {
        text.push_str(&format!("{group:09}"));
    }
    text
}
